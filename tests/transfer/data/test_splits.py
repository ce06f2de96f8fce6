"""Folds are stratified, keep copies together, and a class needs two different images."""

from __future__ import annotations

import numpy as np
import pytest

from transfer.data.manifests import LabelledImage, Manifest
from transfer.data.splits import TINY, assign_folds, keep_trainable_labels
from transfer.spec.errors import TrainingError


def manifest(*digests_of_classes: str) -> Manifest:
    """One word a class, one letter an image: equal letters are copies."""
    images = [
        LabelledImage(f'{label}-{place}.jpg', label, digest, f'{label}-{place}')
        for label, word in enumerate(digests_of_classes)
        for place, digest in enumerate(word)
    ]
    return Manifest(tuple(f'class {label}' for label in range(len(digests_of_classes))), tuple(images))


def test_every_fold_holds_its_share_of_every_class():
    labels = np.repeat([0, 1, 2], [50, 50, 25])
    folds = assign_folds(labels, [str(i) for i in range(125)], 5, 0)
    for fold in range(5):
        assert np.bincount(labels[folds == fold]).tolist() == [10, 10, 5]


def test_copies_of_an_image_are_held_out_together():
    labels = np.repeat([0, 1], 40)
    groups = [str(i // 4) for i in range(80)]
    folds = assign_folds(labels, groups, 5, 3)
    for group in set(groups):
        assert len({fold for fold, name in zip(folds, groups, strict=True) if name == group}) == 1


@pytest.mark.parametrize('sizes', [(2, 2), (2, 30), (3, 2, 40), (2, 2, 2, 2, 2)])
def test_a_class_of_two_is_learned_from_in_every_fold(sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    folds = assign_folds(labels, [str(i) for i in range(len(labels))], 5, 0)
    for fold in range(folds.max() + 1):
        assert set(labels[folds != fold]) == set(labels)


def test_a_tiny_set_leaves_one_out():
    labels = np.repeat([0, 1], TINY // 2)
    folds = assign_folds(labels, [str(i) for i in range(TINY)], 5, 0)
    assert sorted(folds) == list(range(TINY))


def test_the_seed_decides_and_the_order_of_rows_does_not():
    labels = np.repeat([0, 1], 30)
    groups = [str(i) for i in range(60)]
    folds = assign_folds(labels, groups, 5, 1)
    turned = assign_folds(labels[::-1], groups[::-1], 5, 1)
    assert np.array_equal(folds, turned[::-1])
    assert not np.array_equal(folds, assign_folds(labels, groups, 5, 2))


def test_a_class_without_two_different_images_is_left_out_and_named():
    kept, notes = keep_trainable_labels(manifest('abc', 'dd', 'ef'))
    assert kept.labels == ('class 0', 'class 2')
    assert sorted({image.label for image in kept.images}) == [0, 1]
    assert len(kept.images) == 5
    assert len(notes) == 1
    assert '"class 1"' in notes[0]


def test_a_whole_manifest_passes_unchanged():
    whole = manifest('abc', 'def')
    assert keep_trainable_labels(whole) == (whole, ())


@pytest.mark.parametrize('words', [('abc',), ('abc', 'd'), (), ('a', 'b', 'c')])
def test_fewer_than_two_classes_cannot_be_trained(words):
    with pytest.raises(TrainingError, match='two classes'):
        keep_trainable_labels(manifest(*words))


def test_groups_of_different_sizes_leave_folds_of_equal_size():
    sizes = [9, 5, 4, 3, 3, 2, 2, 1, 1, *[1] * 10]
    groups = [str(number) for number, size in enumerate(sizes) for _ in range(size)]
    labels = np.zeros(len(groups), int)
    counts = np.bincount(assign_folds(labels, groups, 4, 0, tiny=0))
    assert counts.tolist() == [10, 10, 10, 10]


def test_a_group_with_two_labels_is_held_out_once():
    labels = np.array([0, 1] * 30)
    groups = [str(row // 2) if row < 20 else f'own {row}' for row in range(60)]
    folds = assign_folds(labels, groups, 5, 0)
    assert all(folds[row] == folds[row + 1] for row in range(0, 20, 2))


def test_folds_of_images_without_copies_are_as_before():
    """Groups of one are dealt out in turn, class by class: published figures rest on it."""
    labels = np.repeat([0, 1, 2], [13, 29, 8])
    order = np.random.default_rng(7).permutation(50)
    names = [f'{number:02d}' for number in range(50)]
    turns = {place: turn % 5 for turn, place in enumerate(sorted(order, key=lambda place: labels[place]))}
    assert assign_folds(labels, names, 5, 7).tolist() == [turns[row] for row in range(50)]
