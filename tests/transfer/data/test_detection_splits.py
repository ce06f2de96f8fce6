"""Photos to learn from and photos to be tested on: every class on both sides, and no copy on the other."""

from __future__ import annotations

import dataclasses

import pytest

from transfer.data.detection_splits import keep_trainable_box_labels, split_manifest
from transfer.data.manifests import BoxedImage, DetectionManifest, LabelledBox
from transfer.spec.errors import TrainingError

EMPTY = BoxedImage('', 100, 80, (), '', 'photo.jpg')


def box(label: int, difficult: bool = False) -> LabelledBox:
    return LabelledBox(10, 10, 40, 40, label, difficult)


def test_a_split_has_each_class_on_both_sides_and_does_not_hang_on_the_order():
    manifest = DetectionManifest(
        ('common', 'rare'),
        tuple(
            dataclasses.replace(EMPTY, digest=f'{n:02}', boxes=(box(0),) if n > 1 else (box(1),))
            for n in range(20)
        ),
    )
    for seed in range(5):
        learned, measured = split_manifest(manifest, 0.3, seed)
        assert len(learned.images) + len(measured.images) == 20
        for part in (learned, measured):
            assert {found.label for image in part.images for found in image.boxes} == {0, 1}
        turned = DetectionManifest(manifest.labels, manifest.images[::-1])
        assert {image.digest for image in split_manifest(turned, 0.3, seed)[1].images} == {
            image.digest for image in measured.images
        }


def test_copies_of_a_photo_stay_on_one_side():
    images = tuple(dataclasses.replace(EMPTY, digest=f'{n % 6}', boxes=(box(0),)) for n in range(12))
    learned, measured = split_manifest(DetectionManifest(('thing',), images), 0.3, 1)
    assert not {image.digest for image in learned.images} & {image.digest for image in measured.images}


def test_a_class_on_one_photo_is_left_out_and_too_few_photos_are_refused():
    images = [dataclasses.replace(EMPTY, digest=f'{n}', boxes=(box(1),)) for n in range(5)]
    images[0] = dataclasses.replace(images[0], boxes=(box(0), box(1)))
    kept, notes = keep_trainable_box_labels(DetectionManifest(('once', 'often'), tuple(images)))
    assert kept.labels == ('often',)
    assert [found.label for image in kept.images for found in image.boxes] == [0] * 5
    assert 'once' in notes[0]
    with pytest.raises(TrainingError, match='at least 4'):
        keep_trainable_box_labels(DetectionManifest(('often',), (images[1], images[2])))


@pytest.mark.parametrize('held_out', [0.1, 0.5, 0.9])
def test_a_class_of_two_photos_has_one_on_either_side_whatever_is_drawn(held_out):
    images = tuple(
        dataclasses.replace(EMPTY, digest=f'{n:02}', boxes=(box(0), box(1)) if n < 2 else (box(0),))
        for n in range(12)
    )
    for seed in range(12):
        for part in split_manifest(DetectionManifest(('common', 'rare'), images), held_out, seed):
            assert {found.label for image in part.images for found in image.boxes} == {0, 1}


def test_a_class_that_but_one_photo_shows_clearly_is_left_out():
    images = [dataclasses.replace(EMPTY, digest=f'{n}', boxes=(box(0),)) for n in range(5)]
    images[0] = dataclasses.replace(images[0], boxes=(box(0), box(1)))
    images[1] = dataclasses.replace(images[1], boxes=(box(0), box(1, difficult=True)))
    kept, notes = keep_trainable_box_labels(DetectionManifest(('clear', 'hidden'), tuple(images)))
    assert kept.labels == ('clear',)
    assert '"hidden" was left out' in notes[0]


def test_near_duplicates_stay_on_one_side():
    images = tuple(dataclasses.replace(EMPTY, digest=f'{n:02}', boxes=(box(0),)) for n in range(20))
    groups = [str(n // 3) for n in range(20)]
    for seed in range(5):
        sides = split_manifest(DetectionManifest(('thing',), images), 0.3, seed, groups)
        learned, measured = ({groups[int(image.digest)] for image in side.images} for side in sides)
        assert not learned & measured
        assert 3 <= len(sides[1].images) <= 6


def test_a_class_on_near_duplicates_alone_is_still_on_both_sides():
    images = tuple(
        dataclasses.replace(EMPTY, digest=f'{n:02}', boxes=(box(0 if n < 4 else 1),)) for n in range(20)
    )
    groups = ['burst' if n < 4 else str(n) for n in range(20)]
    sides = split_manifest(DetectionManifest(('burst', 'other'), images), 0.3, 1, groups)
    for side in sides:
        assert {found.label for image in side.images for found in image.boxes} == {0, 1}


def test_half_of_the_photos_in_one_group_do_not_take_over_the_test():
    images = tuple(dataclasses.replace(EMPTY, digest=f'{n:02}', boxes=(box(0),)) for n in range(20))
    groups = ['film' if n < 10 else str(n) for n in range(20)]
    for seed in range(8):
        assert len(split_manifest(DetectionManifest(('thing',), images), 0.3, seed, groups)[1].images) == 6
