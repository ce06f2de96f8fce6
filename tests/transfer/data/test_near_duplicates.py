"""Copies of a photo are found and grouped, other photos are not, and no group swallows a class."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip('torch')

from tests.support import near_copies
from transfer.data.duplicates_report import report_near_duplicates
from transfer.data.manifests import LabelledImage
from transfer.data.near_duplicates import DuplicatePair, find_near_duplicates, group_duplicates

SCENES = [near_copies.draw_scene(seed) for seed in range(24)]
COPIES = {
    'saved again': near_copies.save_again,
    'cropped': near_copies.crop,
    'mirrored': near_copies.mirror,
    'turned': near_copies.turn,
    'brightened': near_copies.brighten,
    'cropped, mirrored and turned': lambda photo: near_copies.turn(
        near_copies.mirror(near_copies.crop(photo)), -6
    ),
}


def digests(count):
    return [f'{number:04d}' for number in range(count)]


def test_different_photos_are_no_near_duplicates():
    found = find_near_duplicates(near_copies.stack(SCENES), digests(24))
    assert found.pairs == ()
    assert len(set(found.groups)) == 24


@pytest.mark.parametrize('change', COPIES.values(), ids=COPIES)
def test_a_copy_is_in_the_group_of_its_photo(change):
    photos = [*SCENES, *(change(photo) for photo in SCENES[:8])]
    groups = find_near_duplicates(near_copies.stack(photos), digests(32)).groups
    assert groups[24:] == groups[:8]
    assert len(set(groups)) == 24


def test_a_burst_longer_than_the_list_of_candidates_is_one_group():
    burst = [near_copies.turn(SCENES[0], degrees) for degrees in range(-8, 9, 2)]
    groups = find_near_duplicates(near_copies.stack([*SCENES, *burst]), digests(33)).groups
    assert len(set(groups[24:])) == 1


def test_a_video_whose_frames_are_never_most_alike_mirrored_is_one_group():
    video = [near_copies.turn(SCENES[0], degrees / 2) for degrees in range(-6, 7)]
    groups = find_near_duplicates(near_copies.stack(video), digests(len(video))).groups
    assert len(set(groups)) == 1


@pytest.mark.parametrize('count', [0, 1, 2, 3, 5])
def test_few_photos_are_searched_too(count):
    groups = find_near_duplicates(near_copies.stack(SCENES)[:count], digests(count)).groups
    assert len(set(groups)) == count


@pytest.mark.parametrize('level', [0, 128, 255])
def test_photos_without_any_content_are_searched_too(level):
    array = np.full((6, 64, 64, 3), level, np.uint8)
    found = find_near_duplicates(array, digests(6), np.arange(6) % 2)
    assert len(found.groups) == 6


def test_another_colour_is_another_thing():
    """Ripe and unripe fruit have one shape."""
    red, green = np.zeros((2, 96, 96, 3), np.uint8)
    shape = np.asarray(SCENES[0].convert('L'))
    red[..., 0], green[..., 1] = shape, shape
    array = np.concatenate([near_copies.stack(SCENES), red[None], green[None]])
    groups = find_near_duplicates(array, digests(26)).groups
    assert groups[24] != groups[25]


def test_the_order_of_the_images_does_not_matter():
    photos = [*SCENES, *(near_copies.crop(photo) for photo in SCENES[:8])]
    names = digests(32)
    turned = list(np.random.default_rng(0).permutation(32))
    groups = find_near_duplicates(near_copies.stack(photos), names).groups
    again = find_near_duplicates(
        near_copies.stack([photos[row] for row in turned]), [names[row] for row in turned]
    ).groups
    assert again == tuple(groups[row] for row in turned)


def test_images_of_one_digest_are_one_group():
    assert group_duplicates([], ['b', 'a', 'b']).groups == ('b', 'a', 'b')


def test_a_group_is_named_by_its_least_digest():
    pairs = [DuplicatePair(0, 2, 0.99), DuplicatePair(2, 3, 0.98)]
    assert group_duplicates(pairs, ['d', 'c', 'b', 'a']).groups == ('a', 'c', 'a', 'a')


def test_pairs_that_join_nothing_new_are_left_out():
    pairs = [DuplicatePair(0, 1, 0.99), DuplicatePair(1, 2, 0.98), DuplicatePair(0, 2, 0.97)]
    assert group_duplicates(pairs, ['a', 'b', 'c']).pairs == tuple(pairs[:2])


def test_no_group_gets_more_than_half_of_a_class():
    """Frames of one film: the weakest links are cut, and the class is named."""
    pairs = [DuplicatePair(row, row + 1, 0.99 - row / 100) for row in range(9)]
    labels = np.repeat([0, 1], 10)
    found = group_duplicates(pairs, digests(20), labels)
    assert np.unique(found.groups[:10], return_counts=True)[1].max() == 5
    assert len(set(found.groups[10:])) == 10
    assert found.separated == (0,)
    assert found.groups[0] == found.groups[1]  # the most alike pair stays together


def report(found, labels, folds=2):
    images = [LabelledImage('', label, '', f'{row}.jpg', f'id {row}') for row, label in enumerate(labels)]
    return report_near_duplicates(found, images, labels, ['rose', 'tulip'], folds)


def test_the_report_counts_groups_and_puts_contradictions_first():
    pairs = [DuplicatePair(0, 1, 0.99), DuplicatePair(2, 3, 0.95)]
    told = report(group_duplicates(pairs, digests(6)), [0, 0, 0, 1, 1, 1])
    assert (told.images, told.groups, told.contradictory) == (4, 2, 1)
    first = told.pairs[0]
    assert (first.first.label, first.second.label, first.second.id) == ('rose', 'tulip', 'id 3')
    assert told.sentences[0].startswith('4 photos are in 2 groups of near-duplicates.')
    assert told.sentences[1] == '1 pair has different classes: check the labels.'


def test_a_class_of_fewer_groups_than_folds_is_named():
    pairs = [DuplicatePair(0, 1, 0.99), DuplicatePair(2, 3, 0.95)]
    told = report(group_duplicates(pairs, digests(9)), [0, 0, 0, 0, 1, 1, 1, 1, 1], folds=4)
    assert 'The 4 photos of “rose” are only 2 without near-duplicates, fewer than the 4' in told.sentences[-1]


def test_nothing_is_told_where_there_is_nothing():
    told = report(group_duplicates([], digests(4)), [0, 0, 1, 1])
    assert (told.images, told.groups, told.sentences, told.pairs) == (0, 0, (), ())
