"""Features of an image are computed once and kept under what they depend on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.support.small_training import source, write_photos
from transfer.data.cache import Pixels, open_pixels
from transfer.features.extract import extract_features
from transfer.features.network import Machine, Network
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture

FOLDED = 1e-5  # rounding of another order of summation


@pytest.fixture
def network(tmp_path):
    source_model = source(tmp_path / 'zoo')
    return Network(source_model, architecture(source_model.architecture), load(source_model))


@pytest.fixture
def pixels(tmp_path):
    return open_pixels(write_photos(tmp_path / 'photos', 4), 32, tmp_path / 'pixels', lambda done: None)


@pytest.fixture
def machine(tmp_path):
    return Machine(torch.device('cpu'), 'float32', tmp_path / 'cache', lambda note: None, lambda done: None)


def counted(network: Network) -> list[int]:
    """How many images the network is run on from now on, a number each time."""
    sizes: list[int] = []
    network.architecture.stages(network.model)[0][1][0].register_forward_hook(
        lambda *call: sizes.append(len(call[2]))
    )
    return sizes


def test_features_are_what_the_head_sees(network, pixels, machine):
    found = extract_features(network, pixels, machine)
    mean, std = (
        torch.tensor(values).view(1, 3, 1, 1) for values in (network.source.mean, network.source.std)
    )
    images = (torch.from_numpy(np.array(pixels.array)).permute(0, 3, 1, 2) / 255 - mean) / std
    with torch.no_grad():
        expected = network.architecture.embed(network.model, images).numpy()
    assert found.shape == (12, network.architecture.feature_size)
    assert np.abs(found - expected).max() < FOLDED


def test_an_image_is_looked_at_once(network, pixels, machine):
    sizes = counted(network)
    first = extract_features(network, pixels, machine)
    assert sum(sizes) == 12
    assert np.array_equal(extract_features(network, pixels, machine), first)
    assert sum(sizes) == 12


def test_photos_added_later_cost_only_themselves(network, pixels, machine):
    extract_features(network, Pixels(pixels.array[:9], pixels.digests[:9], 32), machine)
    sizes = counted(network)
    found = extract_features(network, pixels, machine)
    assert sum(sizes) == 3
    assert np.isfinite(found).all()
    assert len(found) == 12


def test_other_weights_have_other_features(network, pixels, machine, tmp_path):
    other_source = source(tmp_path / 'zoo', 'other', seed=5)
    other = Network(other_source, network.architecture, load(other_source))
    assert not np.allclose(
        extract_features(network, pixels, machine), extract_features(other, pixels, machine)
    )


def test_the_pass_gives_word_and_takes_less_when_memory_is_short(network, pixels, machine):
    words: list[float] = []
    notes: list[str] = []
    failed: list[int] = []

    def fail_once(module: torch.nn.Module, inputs: tuple[torch.Tensor, ...]) -> None:
        if not failed:
            failed.append(len(inputs[0]))
            raise torch.OutOfMemoryError('CUDA out of memory')

    network.architecture.stages(network.model)[0][1][0].register_forward_pre_hook(fail_once)
    found = extract_features(
        network, pixels, dataclasses.replace(machine, on_progress=words.append, note=notes.append)
    )
    assert failed == [12]
    assert notes == ['Memory ran out; the batch was halved to 6 images.']
    assert words[-1] == 1.0
    assert len(found) == 12
