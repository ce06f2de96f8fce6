"""The doctor counts what is there and says what would spoil a training."""

from __future__ import annotations

import pytest

from recognition.datasets import health as dataset_health
from recognition.models import Image, Label

pytestmark = pytest.mark.django_db


def fill(project, counts, **fields):
    for name, count in counts.items():
        label = Label.objects.get_or_create(project=project, name=name)[0] if name else None
        start = Image.objects.count()
        Image.objects.bulk_create(
            Image(
                **{
                    'project': project,
                    'name': f'{number}.jpg',
                    'digest': f'{number:064d}',
                    'key': 'k',
                    'thumbnail_key': 't',
                    'width': 640,
                    'height': 480,
                    'size': 1,
                    'label': label,
                    **fields,
                }
            )
            for number in range(start, start + count)
        )


def codes(project):
    return [(finding.code, finding.label) for finding in dataset_health.check_health(project).warnings]


def test_a_good_set_has_no_warnings(project):
    fill(project, {'daisy': 40, 'rose': 50})
    health = dataset_health.check_health(project)
    assert (health.images, health.unlabelled, health.warnings) == (90, 0, ())
    assert [(found.label, found.images) for found in health.classes] == [('daisy', 40), ('rose', 50)]


def test_an_empty_project_is_told_that_it_is_empty(project):
    health = dataset_health.check_health(project)
    assert [finding.code for finding in health.warnings] == ['no_images']
    assert health.warnings[0].severe


def test_what_lies_in_the_trash_does_not_count(project):
    from django.utils import timezone

    fill(project, {'daisy': 40, 'rose': 50})
    fill(project, {'rose': 400, None: 7}, deleted_at=timezone.now())
    health = dataset_health.check_health(project)
    assert (health.images, health.unlabelled, health.warnings) == (90, 0, ())


def test_one_class_alone_cannot_be_told_from_anything(project):
    fill(project, {'daisy': 40})
    assert codes(project) == [('one_class', '')]


def test_classes_with_few_images_are_named_and_the_gravest_come_first(project):
    fill(project, {'daisy': 9, 'rose': 20, 'tulip': 3})
    health = dataset_health.check_health(project)
    assert [(finding.code, finding.label, finding.severe) for finding in health.warnings] == [
        ('few', 'tulip', True),
        ('few', 'daisy', False),
    ]
    assert '3 images' in health.warnings[0].message


def test_an_empty_class_is_named(project):
    fill(project, {'daisy': 40, 'rose': 40})
    Label.objects.create(project=project, name='tulip')
    assert codes(project) == [('empty', 'tulip')]


def test_a_class_ten_times_the_size_of_another_drowns_it(project):
    fill(project, {'daisy': 200, 'rose': 20})
    assert codes(project) == [('imbalance', 'rose')]


def test_unlabelled_and_tiny_images_are_counted(project):
    fill(project, {'daisy': 40, 'rose': 40, None: 1})
    fill(project, {'rose': 2}, height=40)
    health = dataset_health.check_health(project)
    assert [finding.code for finding in health.warnings] == ['unlabelled', 'tiny']
    assert health.warnings[0].message.startswith('1 image without')
    assert health.warnings[1].message.startswith('2 images with')


def test_class_names_that_differ_by_case_or_spaces_only_are_asked_about(project):
    fill(project, {'Red Rose': 40, 'red-rose': 40, 'tulip': 40})
    assert codes(project) == [('alike', 'red-rose')]


def test_names_without_letters_are_not_alike(project):
    fill(project, {'+': 40, '-': 40})
    assert codes(project) == []


def test_the_number_of_queries_does_not_grow_with_the_classes(project, django_assert_num_queries):
    fill(project, {f'class {number}': 12 for number in range(30)})
    with django_assert_num_queries(2):
        assert len(dataset_health.check_health(project).classes) == 30
