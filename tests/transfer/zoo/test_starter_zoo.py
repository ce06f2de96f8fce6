"""The networks that ship with the repository are what their JSON files say."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from p2l.ranking import SourceProfile, rank_sources
from transfer.data.decode import decode
from transfer.zoo.build.sign_starter import load_reference
from transfer.zoo.fetch import package
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture
from transfer.zoo.signatures.class_means import read_class_means
from transfer.zoo.signatures.compute import compute_signature, find_image_files, sample_evenly
from transfer.zoo.weights import STARTER, read_starter_models

REFERENCE = 'graft-generic'
STARTERS = {starter.name: starter for starter in read_starter_models()}
# The starter zoo is trained by transfer.zoo.build.train_starter; a checkout may stand before its first
# training.
pytestmark = pytest.mark.skipif(REFERENCE not in STARTERS, reason='the starter zoo has not been trained yet')


@pytest.fixture(scope='module', params=[REFERENCE, package.REFERENCE])
def reference(request, tmp_path_factory):
    """The networks that every installation may class_means through."""
    return load_reference(request.param, STARTER, tmp_path_factory.mktemp('packaged'))


def test_it_is_small_and_holds_a_reference_and_four_other_domains():
    files = list(STARTER.iterdir())
    assert sum(path.stat().st_size for path in files) <= 40 * 2**20
    assert {path.suffix for path in files} <= {'.safetensors', '.json'}
    assert len({starter.dataset for starter in STARTERS.values()} - {STARTERS[REFERENCE].dataset}) >= 4


@pytest.mark.parametrize('name', STARTERS)
def test_every_network_loads_and_is_signed_under_the_reference(name, reference):
    starter = STARTERS[name]
    model = load(starter.to_spec())
    with torch.inference_mode():
        assert model(torch.zeros(1, 3, starter.side, starter.side)).shape == (1, len(starter.class_names))
    signature = np.array(starter.signatures[reference.digest])
    assert signature.shape == (architecture(reference.architecture).feature_size,)
    assert signature.min() >= 0 < signature.max()
    assert starter.images > 0
    assert starter.licence


@pytest.mark.shared
@pytest.mark.parametrize('name', [name for name, starter in STARTERS.items() if '+' not in starter.dataset])
def test_images_of_a_specialists_own_set_rank_it_first(name, reference, shared):
    network, model = architecture(reference.architecture), load(reference)
    # Others than those of the signature's own row where the set is larger; likeness alone, for all sizes are
    # about equal.
    paths = sample_evenly(find_image_files(shared / 'sources' / STARTERS[name].dataset), 40)
    pixels = (
        torch.from_numpy(np.stack([decode(path, reference.side) for path in paths])).permute(0, 3, 1, 2) / 255
    )
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (reference.mean, reference.std))
    with torch.inference_mode():
        features = network.features(model, (pixels - mean) / std).numpy()
    candidates = [
        SourceProfile(starter.name, starter.images, starter.signatures[reference.digest])
        for starter in STARTERS.values()
    ]
    first = rank_sources(features, candidates, weights=(1.0, 0.0))[0]
    assert first.name == name
    assert first.stability > 0.9


@pytest.mark.shared
@pytest.mark.slow
@pytest.mark.parametrize(
    'reference', [REFERENCE], indirect=True
)  # a thousand photos: the other takes a minute
def test_signing_again_gives_the_shipped_signature(reference, shared):
    starter = next(starter for starter in STARTERS.values() if '+' not in starter.dataset)
    signed = compute_signature(
        reference, sample_evenly(find_image_files(shared / 'sources' / starter.dataset))
    )
    np.testing.assert_allclose(signed.mean, starter.signatures[reference.digest], rtol=0.01, atol=0.01)


@pytest.mark.shared
def test_a_network_is_right_about_images_of_its_own_set(shared):
    starter = next(starter for starter in STARTERS.values() if '+' not in starter.dataset)
    model = load(starter.to_spec())
    right = []
    for label, name in enumerate(starter.class_names):
        paths = sample_evenly(find_image_files(shared / 'sources' / starter.dataset / name), 8)
        pixels = (
            torch.from_numpy(np.stack([decode(path, starter.side) for path in paths])).permute(0, 3, 1, 2)
            / 255
        )
        mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (starter.mean, starter.std))
        with torch.inference_mode():
            right += (model((pixels - mean) / std).argmax(1) == label).tolist()
    # Most of these were trained on: this asks whether weights, classes and preprocessing belong together, no
    # more.
    assert np.mean(right) > 0.7


def test_the_sets_of_the_starter_zoo_have_a_look_class_by_class(reference):
    for starter in STARTERS.values():
        class_means = read_class_means(
            dataclasses.replace(starter.to_spec(), dataset=starter.dataset), reference.digest
        )
        assert len(class_means.means) == len(starter.class_names)
        mean = (class_means.images @ class_means.means) / class_means.images.sum()
        assert np.corrcoef(mean, starter.signatures[reference.digest])[0, 1] > 0.95


def test_nobody_knows_the_look_of_another_source_or_under_another_reference(reference, tmp_path):
    starter = dataclasses.replace(STARTERS[REFERENCE].to_spec(), dataset='garment')
    assert read_class_means(starter, reference.digest) is not None
    assert read_class_means(starter, 'another') is None
    assert (
        read_class_means(
            dataclasses.replace(starter, weights=str(tmp_path / 'imported.pth')), reference.digest
        )
        is None
    )
