"""Activations of the frozen layers are cached: the image itself, and augmented views that take turns."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from transfer.data.augment import Augmentation
from transfer.data.cache import Pixels
from transfer.features.network import Machine
from transfer.finetune import inputs
from transfer.finetune.inputs import VIEWS, cache_activations, make_pixel_inputs
from transfer.spec.train_spec import SourceModelSpec

SOURCE = SourceModelSpec('tiny', 'lenet5', '', '', 2, 10, side=8)


@pytest.fixture
def images():
    """Six noisy images, jittered when they are learned from."""
    array = np.random.default_rng(0).integers(0, 256, (6, 8, 8, 3)).astype(np.uint8)
    pixels = Pixels(array, tuple('abcdef'), 8)
    return make_pixel_inputs(pixels, SOURCE, Augmentation(jitter=0.5), torch.device('cpu'))


def cache(images, tmp_path):
    machine = Machine(torch.device('cpu'), 'float32', tmp_path, lambda note: None, lambda done: None)
    return cache_activations(nn.Flatten(), images, 'float32', 0, machine, lambda done: None)


def test_an_image_is_validated_on_itself_and_learned_from_in_another_view_each_epoch(images, tmp_path):
    cached, rows = cache(images, tmp_path), torch.arange(6)
    clean = images.clean(rows).flatten(1)
    torch.testing.assert_close(cached.clean(rows), clean)
    epochs = [cached.training(rows, epoch, torch.Generator()) for epoch in range(VIEWS)]
    for row in range(6):
        views = torch.stack([epoch[row] for epoch in epochs])
        assert len(torch.unique(views, dim=0)) == VIEWS
        assert sum(torch.equal(view, clean[row]) for view in views) == 1  # one of them is the image itself
    again = cached.training(rows, VIEWS, torch.Generator())
    torch.testing.assert_close(again, epochs[0])


def test_every_image_of_a_batch_is_augmented_by_itself(images):
    alike = dataclasses.replace(images, pixels=images.pixels[[0] * 6])
    batch = alike.training(torch.arange(6), 0, torch.Generator().manual_seed(0))
    assert len(torch.unique(batch.flatten(1), dim=0)) == 6


def test_activations_of_which_too_few_views_fit_are_not_cached(images, tmp_path, monkeypatch):
    monkeypatch.setattr(inputs, 'MOST_BYTES', 2 * 6 * 8 * 8 * 3 * 4)
    assert cache(images, tmp_path) is None
