"""A training is told of the labelled images that are present, and of nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.utils import timezone

from recognition.datasets import labels as dataset_labels
from recognition.datasets import manifests, uploads
from recognition.models import Image, Label, Project
from tests.support.photos import draw_photo

pytestmark = pytest.mark.django_db


@pytest.fixture
def gathered(project, alice):
    """Two roses, two daisies, one image without a class, and an empty class."""
    Label.objects.create(project=project, name='tulip')
    labels = ['rose', 'daisy', 'rose', 'daisy', None]
    uploads.add_images(project, alice, [incoming(seed, label) for seed, label in enumerate(labels)])
    return project


def incoming(seed, label):
    data = draw_photo(seed)
    return uploads.IncomingFile(f'{seed}.jpg', lambda: data, len(data), label)


def test_classes_with_images_come_by_name_and_each_image_knows_its_own(gathered):
    manifest = manifests.build_manifest(gathered)
    assert manifest.labels == ('daisy', 'rose')
    assert sorted((image.name, manifest.labels[image.label]) for image in manifest.images) == [
        ('0.jpg', 'rose'),
        ('1.jpg', 'daisy'),
        ('2.jpg', 'rose'),
        ('3.jpg', 'daisy'),
    ]


def test_each_image_lies_on_this_machine_and_points_back_at_its_row(gathered):
    for image in manifests.build_manifest(gathered).images:
        assert Path(image.path).is_file()
        assert Image.objects.get(pk=image.id).digest == image.digest


def test_images_in_the_trash_stay_out(gathered):
    Image.objects.filter(label__name='daisy').update(deleted_at=timezone.now())
    assert manifests.build_manifest(gathered).labels == ('rose',)


def test_another_project_stays_out(gathered, alice):
    other = Project.objects.create(name='Other')
    uploads.add_images(other, alice, [incoming(77, 'rose')])
    assert len(manifests.build_manifest(gathered).images) == 4


def test_a_project_without_labelled_images_gives_an_empty_manifest(project):
    manifest = manifests.build_manifest(project)
    assert (manifest.labels, manifest.images) == ((), ())


def test_the_digest_changes_with_a_label_and_not_with_a_new_name_of_a_file(gathered):
    before = manifests.build_manifest(gathered).digest
    Image.objects.filter(name='0.jpg').update(name='renamed.jpg')
    assert manifests.build_manifest(gathered).digest == before
    dataset_labels.label_images(gathered, [Image.objects.get(name='renamed.jpg').pk], 'daisy')
    assert manifests.build_manifest(gathered).digest != before


def test_a_thousand_images_cost_two_queries(project, django_assert_num_queries):
    label = Label.objects.create(project=project, name='rose')
    Image.objects.bulk_create(
        Image(
            project=project,
            name='x',
            digest=f'{number}',
            key='a',
            thumbnail_key='b',
            width=9,
            height=9,
            size=1,
            label=label,
        )
        for number in range(1000)
    )
    with django_assert_num_queries(2):
        assert len(manifests.build_manifest(project).images) == 1000
