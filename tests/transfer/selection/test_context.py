"""What the steps of a training share: notes, features and probes are made once, and the images are signed by
the reference alone."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from p2l.signatures import round_mean_feature
from tests.support.small_training import RecordingReport, source, write_photos
from transfer.data.splits import assign_folds
from transfer.features.extract import last_layer
from transfer.features.linear_probe import fit_probe
from transfer.runtime.progress import ProgressTracker
from transfer.selection.context import TrainingContext
from transfer.spec.train_spec import TrainSpec
from transfer.zoo.weights import file_digest

CLOSE = {'a': (118, 100, 100), 'b': (100, 118, 100)}  # so near that a linear head makes mistakes


def with_features_around_nought(reference):
    """The same network with a bias that makes half of its features negative."""
    weights = load_file(reference.weights)
    weights['classifier.0.bias'] = torch.linspace(-3, 3, len(weights['classifier.0.bias']))
    save_file(weights, reference.weights)
    return dataclasses.replace(reference, digest=file_digest(Path(reference.weights)))


@pytest.fixture
def context(tmp_path):
    """Thirty photos, a reference whose features may be negative, and another source."""
    reference = with_features_around_nought(source(tmp_path / 'zoo', 'reference', 'mobilenet_v3_small'))
    spec = TrainSpec(
        sources=(reference, source(tmp_path / 'zoo', 'other')),
        reference=reference,
        precision='float32',
        folds=3,
        seed=4,
    )
    tracker = ProgressTracker(RecordingReport())
    manifest = write_photos(tmp_path / 'photos', 15, CLOSE)
    context = TrainingContext(manifest, spec, torch.device('cpu'), tmp_path / 'cache', tracker)
    with tracker.phase('probe', ''):
        yield context


def test_a_note_is_recorded_once(context):
    context.note('The batch was halved.')
    context.note('The batch was halved.')
    assert context.notes == ['The batch was halved.']


def test_the_reference_signs_the_images_by_the_positive_part_of_their_features_and_no_other_does(context):
    reference, other = context.spec.sources
    context.extract_features(other)
    assert context.signature is None
    network, _, features = context.extract_features(reference)
    features = last_layer(network, features)
    assert (features.mean(0) < -0.01).any()
    assert context.signature.reference == reference.digest
    assert context.signature.mean == round_mean_feature(np.maximum(features, 0).mean(0, dtype=np.float64))


def test_features_can_be_had_of_some_images(context):
    other = context.spec.sources[1]
    _, pixels, features = context.extract_features(other)
    _, few, some = context.extract_features(other, np.array([3, 20]))
    assert few.digests == (pixels.digests[3], pixels.digests[20])
    np.testing.assert_array_equal(some, features[[3, 20]])


def test_a_probe_has_the_folds_that_the_spec_asks_for(context):
    probed = context.probe(context.spec.sources[1])
    folds = assign_folds(context.labels, list(probed.pixels.digests), 3, 4)
    wanted = fit_probe(probed.features, context.labels, 2, folds)
    np.testing.assert_allclose(probed.probe.logits, wanted.logits)
    assert len(probed.probe.fold_heads) == 3


def test_a_source_is_probed_once_and_forgotten_when_another_is_chosen(context):
    reference, other = context.spec.sources
    first, second = context.probe(reference), context.probe(other)
    assert context.probe(reference) is first
    context.release_others(other)
    assert context.probe(other) is second
    assert context.probe(reference) is not first
