"""Augmentation changes pictures by chance that a seed decides, and stays within a picture's range."""

from __future__ import annotations

import pytest
import torch

from transfer.data.augment import Augmentation, augment
from transfer.spec.train_spec import TrainSpec

NOTHING = Augmentation(flip=False, crop=1.0, jitter=0.0, lighting=0.0)


def pictures(n: int = 16, side: int = 24) -> torch.Tensor:
    return torch.rand(n, 3, side, side, generator=torch.Generator().manual_seed(3)) * 0.6 + 0.2


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_no_augmentation_changes_nothing():
    images = pictures()
    assert torch.equal(augment(images, NOTHING, generator()), images)


def test_a_flip_mirrors_some_and_leaves_the_others():
    images = pictures(64)
    out = augment(images, Augmentation(flip=True, crop=1.0, jitter=0.0), generator())
    same = torch.isclose(out, images, atol=1e-4).flatten(1).all(1)
    mirrored = torch.isclose(out, images.flip(3), atol=1e-4).flatten(1).all(1)
    assert (same ^ mirrored).all()
    assert 16 < int(mirrored.sum()) < 48


def test_a_crop_shows_a_part_of_the_picture():
    ramp = torch.linspace(0, 1, 32).expand(32, 3, 32, 32)
    out = augment(ramp, Augmentation(flip=False, crop=0.5, jitter=0.0), generator())
    width = out[:, 0, 0, -1] - out[:, 0, 0, 0]
    assert (width <= 1 + 1e-5).all()
    assert (width > 0.5).all()  # half of the area at an aspect of at most 4:3 is at least 0.61 wide
    assert width.std() > 0.02


@pytest.mark.parametrize(
    'how', [Augmentation(), Augmentation(lighting=0.1), Augmentation(crop=0.2, jitter=0.9)]
)
def test_values_stay_in_range_and_the_seed_decides(how):
    images = pictures()
    once, again, other = (augment(images, how, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(once, again)
    assert not torch.equal(once, other)
    assert once.shape == images.shape
    assert once.min() >= 0
    assert once.max() <= 1


def test_lighting_moves_every_pixel_of_a_picture_alike():
    images = pictures()
    moved = (
        augment(images, Augmentation(flip=False, crop=1.0, jitter=0.0, lighting=0.1), generator()) - images
    )
    assert torch.allclose(moved, moved[:, :, :1, :1].expand_as(moved), atol=1e-6)
    assert moved.abs().max() > 0.005


def test_the_spec_names_the_strengths():
    assert Augmentation.of(TrainSpec(flip=False, crop=0.9, jitter=0.1, lighting=0.2)) == Augmentation(
        False, 0.9, 0.1, 0.2
    )


def test_every_picture_of_a_batch_has_a_brightness_of_its_own():
    grey = torch.full((400, 3, 4, 4), 0.5)
    out = augment(grey, Augmentation(flip=False, crop=1.0, jitter=0.2), generator())
    # uniform from 0.8 to 1.2 times the grey: a deviation of 0.4 / sqrt(12); the colour balance adds a little
    assert float(out.mean((1, 2, 3)).std()) == pytest.approx(0.5 * 0.4 / 12**0.5, rel=0.15)
