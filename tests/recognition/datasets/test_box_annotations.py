"""Boxes on an image: kept exactly, cut to it, refused when they are none; two people do not overwrite each
other."""

from __future__ import annotations

import math

import pytest

from recognition.datasets import box_annotations, deleted_labels, labels, manifests, projects
from recognition.datasets import health as dataset_health
from recognition.datasets.box_annotations import Box
from recognition.errors import ConflictError, InvalidInputError, NotFoundError
from recognition.models import Annotation, Image, Label
from recognition.training.readiness import check_readiness
from tests.support.detection_projects import boxed_project, detection_project, draw, photo

pytestmark = pytest.mark.django_db

CELL = Box('red', 4, 4, 20.5, 20)


@pytest.fixture
def cells(alice):
    return detection_project(alice, 2)


def save(project, boxes, version=0, number=0, **options):
    return box_annotations.set_boxes(project, photo(project, number).pk, boxes, version=version, **options)


def test_boxes_come_back_as_they_were_drawn(cells, alice):
    drawn = [CELL, Box('white', 0, 0, 48, 47.125, True)]
    saved = save(cells, drawn, user=alice)
    assert (saved.version, saved.state, saved.boxes) == (1, 'boxes', tuple(drawn))
    assert box_annotations.get_boxes(cells, photo(cells).pk) == saved
    assert {row.added_by for row in Annotation.objects.all()} == {alice}
    assert photo(cells).boxed_by == alice


def test_an_image_is_unlabelled_or_has_boxes_or_shows_nothing(cells):
    assert box_annotations.get_boxes(cells, photo(cells).pk).state == 'unlabelled'
    assert save(cells, [], empty=True).state == 'empty'
    assert save(cells, [CELL], version=1).state == 'boxes'
    assert save(cells, [], version=2).state == 'unlabelled'


def test_an_image_cannot_have_boxes_and_show_nothing(cells):
    with pytest.raises(InvalidInputError, match=r'0\.jpg'):
        save(cells, [CELL], empty=True)


def test_a_box_is_cut_to_the_image(cells):
    assert save(cells, [Box('red', -5, 40, 10, 99)]).boxes == (Box('red', 0, 40, 10, 48),)


@pytest.mark.parametrize(
    'corners',
    [
        (10, 10, 10, 20),
        (10, 10, 30, 10.5),
        (20, 20, 10, 10),
        (60, 0, 90, 20),
        (-20, 0, 0, 20),
        (0, 0, math.nan, 20),
        (0, -math.inf, 20, math.inf),
    ],
)
def test_a_box_that_is_none_is_refused_with_the_image_and_its_place_named(cells, corners):
    with pytest.raises(InvalidInputError, match=r'0\.jpg') as refusal:
        save(cells, [CELL, Box('red', *corners)])
    assert refusal.value.field == 'boxes[1]'
    assert (Annotation.objects.count(), photo(cells).boxes_version, Label.objects.count()) == (0, 0, 0)


def test_too_many_boxes_and_names_that_are_none_are_refused(cells):
    with pytest.raises(InvalidInputError, match='at most'):
        save(cells, [CELL] * (box_annotations.MAX_BOXES_PER_IMAGE + 1))
    with pytest.raises(InvalidInputError) as refusal:
        save(cells, [Box('', 0, 0, 9, 9)])
    assert refusal.value.field == 'boxes[0].label'


def test_whoever_saves_on_an_old_version_is_told_so_and_changes_nothing(cells):
    save(cells, [CELL])
    with pytest.raises(ConflictError, match='version 1') as refusal:
        save(cells, [Box('white', 1, 1, 9, 9)])
    assert refusal.value.field == 'version'
    assert box_annotations.get_boxes(cells, photo(cells).pk).boxes == (CELL,)


def test_the_same_boxes_sent_again_after_a_lost_answer_are_no_conflict(cells):
    first = save(cells, [CELL, CELL])
    assert save(cells, [CELL, CELL]) == first
    with pytest.raises(ConflictError):
        save(cells, [CELL])


def test_boxes_that_stay_keep_who_drew_them(cells, alice, bob):
    save(cells, [CELL], user=alice)
    save(cells, [Box('red', 1, 1, 9, 9), CELL], version=1, user=bob)
    assert list(Annotation.objects.order_by('x0').values_list('added_by__username', flat=True)) == [
        'bob',
        'alice',
    ]


def test_boxes_belong_to_projects_that_find_things(project, cells):
    from tests.support.detection_projects import add_photos

    add_photos(project, None, 1)
    with pytest.raises(ConflictError):
        save(project, [CELL])
    with pytest.raises(NotFoundError):
        box_annotations.set_boxes(project, photo(cells).pk, [CELL], version=0)


def test_photos_of_such_a_project_have_no_class_of_their_own(cells, alice):
    from recognition.datasets.upload_results import IncomingFile
    from recognition.datasets.uploads import add_images
    from tests.support.photos import draw_photo

    add_images(cells, alice, [IncomingFile('train/7.jpg', lambda: draw_photo(7), 1000, 'train')])
    assert not Label.objects.exists() and not Image.objects.labelled().exists()
    with pytest.raises(ConflictError):
        labels.label_images(cells, [photo(cells).pk], 'red')


def test_deleting_a_class_takes_its_boxes_and_does_not_claim_that_nothing_is_there(cells):
    draw(cells, 0, ('red', 0, 0, 9, 9))
    draw(cells, 1, ('red', 0, 0, 9, 9), ('white', 9, 9, 20, 20))
    deleted_labels.delete_label(cells, Label.objects.get(name='red').pk)
    assert [box_annotations.get_boxes(cells, photo(cells, n).pk).state for n in (0, 1)] == [
        'unlabelled',
        'boxes',
    ]
    assert photo(cells, 0).boxes_version == photo(cells, 1).boxes_version == 2


def test_a_deleted_class_comes_back_with_its_boxes_on_photos_that_are_still_there(cells, alice):
    draw(cells, 0, ('red', 0, 0, 9, 9))
    draw(cells, 1, ('red', 0, 0, 9, 9), ('white', 9, 9, 20, 20))
    before = [box_annotations.get_boxes(cells, photo(cells, n).pk) for n in (0, 1)]
    deleted = deleted_labels.delete_label(cells, Label.objects.get(name='red').pk, alice)
    assert [row.name for row in deleted_labels.list_deleted_labels(cells)] == ['red']
    deleted_labels.restore_label(cells, deleted.pk)
    after = [box_annotations.get_boxes(cells, photo(cells, n).pk) for n in (0, 1)]
    assert [(set(known.boxes), known.state) for known in after] == [
        (set(known.boxes), known.state) for known in before
    ]
    assert [known.version for known in after] == [3, 3]  # whoever has them on her screen loads them again
    assert not deleted_labels.list_deleted_labels(cells).exists()
    with pytest.raises(NotFoundError):
        deleted_labels.restore_label(cells, deleted.pk)


def test_what_happened_since_a_class_was_deleted_is_kept_when_it_comes_back(cells):
    draw(cells, 0, ('red', 0, 0, 9, 9), ('red', 9, 9, 20, 20))
    draw(cells, 1, ('red', 0, 0, 9, 9))
    deleted = deleted_labels.delete_label(cells, Label.objects.get(name='red').pk)
    box_annotations.set_boxes(
        cells, photo(cells, 0).pk, [Box('red', 0, 0, 9, 9)], version=photo(cells, 0).boxes_version
    )
    Image.objects.filter(pk=photo(cells, 1).pk).delete()
    looked_at = photo(cells, 0).boxed_at
    deleted_labels.restore_label(cells, deleted.pk)
    assert sorted(box.x0 for box in box_annotations.get_boxes(cells, photo(cells, 0).pk).boxes) == [
        0,
        9,
    ]  # none is there twice
    assert photo(cells, 0).boxed_at == looked_at and Label.objects.get().name == 'red'


def test_merging_two_classes_moves_the_boxes(cells):
    draw(cells, 0, ('red', 0, 0, 9, 9), ('Red', 9, 9, 20, 20))
    labels.rename_label(cells, Label.objects.get(name='Red').pk, 'red')
    assert [box.label for box in box_annotations.get_boxes(cells, photo(cells).pk).boxes] == ['red', 'red']
    assert photo(cells).boxes_version == 2


def test_a_training_is_told_of_the_boxes_and_of_images_that_show_nothing(cells):
    Label.objects.create(project=cells, name='empty')
    draw(cells, 0, ('white', 1, 2, 30, 40), ('red', 0, 0, 9.5, 9))
    assert [image.name for image in manifests.build_detection_manifest(cells).images] == ['0.jpg']
    draw(cells, 1)
    manifest = manifests.build_detection_manifest(cells)
    assert manifest.labels == ('red', 'white')
    one, two = manifest.images
    assert [(box.x1, manifest.labels[box.label]) for box in one.boxes] == [(30, 'white'), (9.5, 'red')]
    assert (one.width, one.height, one.digest, one.id) == (48, 48, photo(cells).digest, str(photo(cells).pk))
    assert two.boxes == ()


def test_what_lies_in_the_trash_is_not_trained_on(cells):
    draw(cells, 0, ('red', 0, 0, 9, 9))
    labels.delete_images(cells, [photo(cells).pk])
    assert manifests.build_detection_manifest(cells).images == ()
    assert box_annotations.get_labelling_progress(cells) == box_annotations.LabellingProgress(
        images=1, labelled=0, empty=0, boxes=0
    )


def test_a_project_is_ready_with_five_boxed_photos(alice):
    cells = detection_project(alice, 6)
    assert check_readiness(cells).missing == (
        'Draw boxes on at least 5 photos; there are boxes on none so far.',
    )
    for number in range(5):
        draw(cells, number, ('red' if number else 'white', 0, 0, 20, 20))
    assert check_readiness(cells).missing == (
        'Draw at least 5 boxes of one class, on two photos or more; the largest has 4.',
    )
    draw(cells, 5, ('red', 0, 0, 20, 20))
    assert check_readiness(cells).ready


def test_the_doctor_looks_at_boxes(alice):
    cells = boxed_project(alice, 6)
    draw(cells, 5, ('red', 0, 0, 20, 20), ('dot', 5, 5, 6, 30))
    health = dataset_health.check_health(cells)
    assert [(found.label, found.images, found.boxes) for found in health.classes] == [
        ('dot', 1, 1),
        ('red', 6, 6),
        ('white', 5, 5),
    ]
    codes = [(finding.code, finding.label) for finding in health.warnings]
    assert codes == [('few', 'dot'), ('few', 'red'), ('few', 'white'), ('small_boxes', '')]


def test_an_unlabelled_project_is_told_to_draw(cells):
    assert [finding.code for finding in dataset_health.check_health(cells).warnings] == ['no_boxes']


def test_the_task_may_change_while_nothing_depends_on_it(cells, project):
    assert projects.change_task(project, 'detection').task == 'detection'
    draw(cells, 0)
    with pytest.raises(ConflictError):
        projects.change_task(cells, 'classification')
    with pytest.raises(InvalidInputError):
        projects.change_task(cells, 'poetry')
