"""The trash: what lay in it long enough leaves with its bytes, everything else stays."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.core.management import call_command
from django.utils import timezone

from recognition import storage
from recognition.datasets import labels, projects
from recognition.datasets.upload_results import IncomingFile
from recognition.datasets.uploads import add_images
from recognition.management import purge
from recognition.models import Image, Job, Project, TrainedModel
from recognition.serving import publishing
from tests.support.photos import draw_photo

pytestmark = pytest.mark.django_db

MONTH = timedelta(days=30)


@pytest.fixture
def photos(project, alice):
    files = [
        IncomingFile(f'{seed}.jpg', lambda seed=seed: draw_photo(seed), 1000, 'daisy') for seed in range(3)
    ]
    add_images(project, alice, files)
    return list(Image.objects.order_by('name'))


def lies(image):
    return default_storage.exists(image.key), default_storage.exists(image.thumbnail_key)


def put_away_long_ago(row):
    type(row).objects.filter(pk=row.pk).update(deleted_at=timezone.now() - MONTH - timedelta(hours=1))


def test_only_what_lay_in_the_trash_long_enough_is_deleted_with_its_bytes(project, photos):
    old, young, kept = photos
    labels.delete_images(project, [old.pk, young.pk])
    put_away_long_ago(old)
    assert purge.purge(MONTH) == purge.PurgeCounts(0, 1, old.size)
    assert set(Image.objects.all()) == {young, kept}
    assert lies(old) == (False, False)
    assert lies(young) == lies(kept) == (True, True)


def test_a_project_leaves_with_its_photos_models_and_names(project, photos, alice, tmp_path):
    (tmp_path / 'meta.json').write_text('{}')
    storage.publish_artifact(tmp_path, 'old/sealed')
    job = Job.objects.create(project=project, created_by=alice)
    model = TrainedModel.objects.create(
        project=project,
        job=job,
        version=1,
        artifact='old/sealed',
        digest='d' * 64,
        labels=['daisy'],
        images=3,
    )
    publishing.publish(model, 'flowers', alice)
    projects.delete_project(project, alice)
    assert purge.purge(MONTH).projects == 0
    put_away_long_ago(project)
    assert purge.purge(MONTH) == purge.PurgeCounts(1, 3, sum(photo.size for photo in photos))
    assert not Project.objects.exists() and not Image.objects.exists()
    assert not default_storage.exists('models/old/sealed/meta.json')
    assert {lies(photo) for photo in photos} == {(False, False)}


def test_a_project_that_was_taken_back_is_as_it_was(project, photos, alice):
    projects.delete_project(project, alice)
    assert list(projects.list_deleted(alice)) == [project]
    assert projects.restore_project(alice, project.pk) == project
    assert projects.get_owned(alice, project.pk).images.count() == 3
    assert list(projects.list_deleted(alice)) == []


def test_the_command_says_what_it_did(project, photos, capsys):
    labels.delete_images(project, [photos[0].pk])
    call_command('purge', '--days', '0')
    assert capsys.readouterr().out.startswith('0 projects and 1 photos')


def test_a_project_that_is_taken_back_while_the_trash_is_emptied_stays_whole(
    project, photos, alice, monkeypatch
):
    projects.delete_project(project, alice)
    put_away_long_ago(project)
    purge_one = purge._purge_project

    def restored_first(found):
        projects.restore_project(alice, found.pk)
        return purge_one(found)

    monkeypatch.setattr(purge, '_purge_project', restored_first)
    assert purge.purge(MONTH) == purge.PurgeCounts(0, 0, 0)
    assert {lies(photo) for photo in photos} == {(True, True)}
    assert projects.get_owned(alice, project.pk).images.count() == 3
