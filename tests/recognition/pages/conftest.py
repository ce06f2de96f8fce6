"""Browsers of alice, bob and charlie; a labelled project with a training and a model that has a whole
report."""

from __future__ import annotations

import pytest
from django.test import Client

from recognition.models import Image, Job, Membership
from recognition.models.project import Role
from tests.support.reported_project import add_photos, create_reported_model, create_source


@pytest.fixture
def browser_of():
    def sign_in(user) -> Client:
        client = Client(raise_request_exception=False)
        client.force_login(user, backend='django.contrib.auth.backends.ModelBackend')
        return client

    return sign_in


@pytest.fixture
def browser(browser_of, alice):
    return browser_of(alice)


@pytest.fixture
def viewer(project, django_user_model):
    """dora may look at alice's project."""
    dora = django_user_model.objects.create_user('dora', password='dora-password')
    Membership.objects.create(project=project, user=dora, role=Role.VIEWER)
    return dora


@pytest.fixture
def labelled(project, alice):
    add_photos(project, alice, ['daisy', 'rose'] * 4)
    return project


@pytest.fixture
def image(labelled):
    return Image.objects.filter(label__name='daisy').first()


@pytest.fixture
def job(labelled, alice):
    return Job.objects.create(project=labelled, created_by=alice)


@pytest.fixture
def source(tmp_path):
    return create_source(tmp_path)


@pytest.fixture
def model(labelled, job, image):
    return create_reported_model(labelled, job, image)
