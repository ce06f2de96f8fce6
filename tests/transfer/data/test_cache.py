"""Photos are decoded once into one array that later trainings map."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support.photos import draw_photo
from transfer.data import cache
from transfer.data.cache import open_pixels
from transfer.data.decode import decode
from transfer.data.manifests import LabelledImage, Manifest
from transfer.spec.errors import JobCancelledError, UnreadableImageError


@pytest.fixture
def manifest(tmp_path):
    images = []
    for index in range(70):
        path = tmp_path / f'{index}.jpg'
        path.write_bytes(draw_photo(index, side=20))
        images.append(LabelledImage(str(path), index % 2, f'digest{index}', path.name))
    return Manifest(('a', 'b'), tuple(images))


def silent(done: float) -> None:
    assert 0 <= done <= 1


def test_every_image_lies_where_the_manifest_has_it(manifest, tmp_path):
    pixels = open_pixels(manifest, 24, tmp_path / 'cache', silent)
    assert pixels.array.shape == (70, 24, 24, 3)
    assert pixels.array.dtype == np.uint8
    for index in (0, 33, 69):
        assert np.array_equal(pixels.array[index], decode(manifest.images[index].path, 24))


def test_the_second_training_decodes_nothing(manifest, tmp_path):
    first = open_pixels(manifest, 24, tmp_path / 'cache', silent)
    for image in manifest.images:
        (tmp_path / image.name).unlink()
    second = open_pixels(manifest, 24, tmp_path / 'cache', silent)
    assert np.array_equal(first.array, second.array)


def test_another_side_or_another_image_is_another_array(manifest, tmp_path):
    open_pixels(manifest, 24, tmp_path / 'cache', silent)
    open_pixels(manifest, 16, tmp_path / 'cache', silent)
    open_pixels(Manifest(manifest.labels, manifest.images[:-1]), 24, tmp_path / 'cache', silent)
    assert len(list((tmp_path / 'cache').glob('*.npy'))) == 3


def test_cancelling_stops_between_parts_and_leaves_nothing(manifest, tmp_path):
    def cancel(done: float) -> None:
        raise JobCancelledError

    with pytest.raises(JobCancelledError):
        open_pixels(manifest, 24, tmp_path / 'cache', cancel)
    assert list((tmp_path / 'cache').iterdir()) == []


def test_an_unreadable_file_is_named(manifest, tmp_path):
    (tmp_path / '7.jpg').write_bytes(b'no photo')
    with pytest.raises(UnreadableImageError, match=r'7\.jpg'):
        open_pixels(manifest, 24, tmp_path / 'cache', silent)


def test_what_was_used_longest_ago_makes_room(manifest, tmp_path, monkeypatch):
    import os

    monkeypatch.setattr(cache, 'LIMIT', 70 * 24 * 24 * 3 * 2)
    folder = tmp_path / 'cache'
    open_pixels(manifest, 24, folder, silent)
    (old,) = folder.glob('*.npy')
    os.utime(old, (1, 1))
    open_pixels(manifest, 23, folder, silent)
    open_pixels(manifest, 22, folder, silent)
    assert not old.exists()
    assert len(list(folder.glob('*.npy'))) == 2
