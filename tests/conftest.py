"""The small known world: alice owns the project, bob is on her team, charlie is a stranger."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tests.support.photos import SHARED


@pytest.fixture(autouse=True)
def own_storage(settings, tmp_path):
    """Each test stores its files in a folder of its own, and hashes passwords fast."""
    settings.PASSWORD_HASHERS = ['django.contrib.auth.hashers.MD5PasswordHasher']
    if not settings.S3_BUCKET:
        settings.STORAGES = {
            **settings.STORAGES,
            'default': {
                'BACKEND': 'django.core.files.storage.FileSystemStorage',
                'OPTIONS': {'location': tmp_path / 'media', 'allow_overwrite': True},
            },
        }
    settings.DATA_DIR = tmp_path
    settings.LOCAL_CACHE = tmp_path / 'cache'
    settings.ZOO_DIR = tmp_path / 'zoo'
    settings.SPOOL_DIR = tmp_path / 'broker'
    settings.FILE_UPLOAD_TEMP_DIR = tmp_path / 'incoming'
    settings.FILE_UPLOAD_TEMP_DIR.mkdir()


@pytest.fixture(autouse=True)
def no_heartbeat_inside_a_transaction(request, monkeypatch):
    """Heartbeats never come unless the test commits. Their thread has a connection of its own, and does not
    see what is not committed: it would take the job for lost (PostgreSQL), or wait for the test's lock
    (SQLite)."""
    marker = request.node.get_closest_marker('django_db')
    commits = {'transactional_db', 'live_server'} & set(request.fixturenames)
    if commits or (marker and marker.kwargs.get('transaction')):
        return
    from transfer.worker import heartbeat

    monkeypatch.setattr(heartbeat, 'HEARTBEAT_INTERVAL', threading.TIMEOUT_MAX)


@pytest.fixture
def alice(django_user_model, db):
    return django_user_model.objects.create_user('alice', password='alice-password')


@pytest.fixture
def bob(django_user_model, db):
    return django_user_model.objects.create_user('bob', password='bob-password')


@pytest.fixture
def charlie(django_user_model, db):
    return django_user_model.objects.create_user('charlie', password='charlie-password')


@pytest.fixture
def project(alice, bob):
    """Alice's project; bob may edit it."""
    from recognition.models import Membership, Project
    from recognition.models.project import Role

    project = Project.objects.create(name='Flowers')
    Membership.objects.create(project=project, user=alice, role=Role.OWNER)
    Membership.objects.create(project=project, user=bob, role=Role.EDITOR)
    return project


@pytest.fixture
def keeper(client, django_user_model, db):
    """An administrator's logged-in client."""
    client.force_login(django_user_model.objects.create_superuser('root', password='root-password'))
    return client


@pytest.fixture
def in_this_process(monkeypatch):
    """A weights file is examined, or unpacked, as ever, but without a process of its own, which needs seconds
    to load torch: for tests of what comes of it."""
    from recognition.errors import InvalidInputError
    from recognition.zoo import subprocess_call
    from transfer.spec.errors import UnusableSourceError
    from transfer.zoo.fetch import inspect_weights, package

    def call(module, request, *, seconds, on_progress=None, on_tick=lambda: None, networked=False):
        assert seconds > 0 and not networked
        if module == 'transfer.zoo.fetch.package':
            try:
                return package.read_package(request)
            except UnusableSourceError as error:
                raise InvalidInputError(error.message) from error
        assert module == 'transfer.zoo.fetch.inspect_weights'
        answer = inspect_weights.answer(request, lambda stage: on_progress({'stage': stage}))
        on_tick()
        if 'error' in answer:
            raise InvalidInputError(answer['error'], field=answer.get('field', ''))
        return answer

    monkeypatch.setattr(subprocess_call, 'call', call)


@pytest.fixture
def empty_model_cache(monkeypatch):
    """This process has loaded no trained model yet; what the test loads is forgotten at its end."""
    from recognition.serving import prediction

    monkeypatch.setattr(prediction, '_cache', None)


@pytest.fixture
def shared() -> Path:
    """The development images and weights beside the repository."""
    if not SHARED.is_dir():
        pytest.skip(f'needs the development images in {SHARED}')
    return SHARED
