"""Programs of alice, bob and charlie, each with a key of its own; a labelled project, a training and a sealed
model."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone
from rest_framework.test import APIClient

from recognition import storage
from recognition.api import access
from recognition.datasets.upload_results import IncomingFile
from recognition.datasets.uploads import add_images
from recognition.models import Image, Job, SourceModel
from recognition.serving import api_keys
from tests.support import sealed_classifier
from tests.support.model_rows import make_model
from tests.support.photos import draw_photo

ALICES = '/api/v1/projects/{}'


@pytest.fixture(autouse=True)
def fresh_counts(settings, tmp_path):
    """Every test starts with full rates and no wrong keys."""
    settings.CACHES = {
        'default': {'BACKEND': 'django.core.cache.backends.locmem.LocMemCache', 'LOCATION': str(tmp_path)}
    }
    access._buckets.clear()


@pytest.fixture
def client_of():
    def make(user, scope: str = 'manage') -> APIClient:
        client = APIClient(raise_request_exception=False)
        client.default_format = 'json'
        client.credentials(HTTP_AUTHORIZATION=f'Bearer {api_keys.issue(user, "test", scope)[1]}')
        return client

    return make


@pytest.fixture
def program(client_of, alice):
    return client_of(alice)


@pytest.fixture
def predictor(client_of, alice):
    """A program of alice's whose key may only predict."""
    return client_of(alice, 'predict')


@pytest.fixture
def labelled(project, alice):
    """Alice's project with four photos of each of two classes."""
    names = ('daisy', 'rose')
    files = [
        IncomingFile(f'{n}.jpg', lambda n=n: draw_photo(n, side=32), 1000, names[n % 2]) for n in range(8)
    ]
    add_images(project, alice, files)
    return project


@pytest.fixture
def image(labelled):
    return Image.objects.filter(label__name='daisy').first()


@pytest.fixture
def source(db, settings):
    """The zoo's reference, as a row."""
    return SourceModel.objects.create(
        name=settings.P2L_REFERENCE,
        title='Everyday things',
        architecture='resnet18',
        weights='/nowhere/reference.safetensors',
        digest='d' * 64,
        size=1,
        side=128,
        mean=[0.5, 0.5, 0.5],
        std=[0.2, 0.2, 0.2],
        images=9000,
        classes=90,
        origin='starter',
        approved_at=timezone.now(),
        signatures={'d' * 64: [0.5, 0.5]},
    )


@pytest.fixture
def job(labelled, alice):
    return Job.objects.create(project=labelled, created_by=alice)


@pytest.fixture(scope='session')
def artifact(tmp_path_factory):
    return sealed_classifier.seal(tmp_path_factory.mktemp('models') / 'colours')


@pytest.fixture
def model(project, artifact):
    """A model that tells blue, green and red pictures."""
    storage.publish_artifact(Path(artifact.folder), f'{project.pk}/colours')
    return make_model(project, artifact, 1)
