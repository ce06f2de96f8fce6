"""A finetuned network is kept only when it is better, by figures from images that it was not trained on."""

from __future__ import annotations

import numpy as np
import torch

from tests.support.small_training import source
from transfer.data.cache import Pixels
from transfer.features.extract import extract_features_uncached
from transfer.features.metrics import accuracy
from transfer.features.network import Machine, Network
from transfer.finetune.cross_validation import FinetuneTask, compare, finetune
from transfer.finetune.plan import Plan
from transfer.spec.train_spec import TrainSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture

LABELS = np.zeros(10, int)


def scores(right: int) -> np.ndarray:
    """Two classes, ten images, the first so many right."""
    return np.where(np.arange(10) < right, 1.0, -1.0)[:, None] * np.array([1.0, -1.0])


def test_the_one_that_gets_more_images_right_is_kept():
    kept, why = compare(scores(8), scores(6), LABELS)
    assert kept and why.endswith('(2 corrected, 0 newly wrong), so the finetuned network is kept.')
    kept, why = compare(scores(6), scores(8), LABELS)
    assert not kept and why.endswith('(0 corrected, 2 newly wrong), so the linear head is kept.')


def test_at_equal_accuracy_the_better_calibrated_one_is_kept():
    surely_wrong = scores(8) * np.where(np.arange(10) < 8, 1, 9)[:, None]
    assert compare(scores(8), surely_wrong, LABELS)[0]
    assert not compare(surely_wrong, scores(8), LABELS)[0]


def test_nobody_gets_a_worse_figure_than_the_first_model_had():
    kept, why = compare(scores(8), scores(7), LABELS, instant_accuracy=0.9)
    assert not kept
    assert why.endswith(
        'but a linear head trained on more of them gets 90.0% right, so the linear head is kept.'
    )
    assert compare(scores(8), scores(7), LABELS, instant_accuracy=0.8)[0]


def test_out_of_fold_scores_do_not_know_their_own_labels(tmp_path):
    """On random labels, a network that was trained on an image scores well on it, an honest one at chance."""
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (48, 32, 32, 3)).astype(np.uint8)
    labels = generator.permutation(np.arange(48) % 4)
    card = source(tmp_path / 'zoo')
    network = Network(card, architecture(card.architecture), load(card))
    pixels = Pixels(images, tuple(str(index) for index in range(48)), 32)
    machine = Machine(torch.device('cpu'), 'float32', tmp_path, lambda note: None, lambda done: None)
    rates = dict.fromkeys(network.architecture.group_names, 0.003)
    spec = TrainSpec(
        rates=rates, precision='float32', flip=False, crop=1.0, jitter=0.0, patience=100, folds=3, batch=16
    )
    plan = Plan('all', '', '', rates, epochs=15)
    features = extract_features_uncached(network, pixels, machine)
    task = FinetuneTask(network, pixels, features, labels, 4, spec, plan)
    result = finetune(task, machine, tmp_path / 'checkpoints', lambda done, progress: None)
    scored = ~np.isnan(result.logits[:, 0])
    assert scored.sum() >= 16  # one fold of three at least
    assert accuracy(result.logits[scored], labels[scored]) < 0.5
    assert (
        result.curve[-1].loss < 0.3
    )  # the network has learned its training images by heart: a leak would show
