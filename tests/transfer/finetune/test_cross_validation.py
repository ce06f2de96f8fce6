"""What finetuning is estimated to give, by figures from images that it was not trained on."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch

from tests.support.small_training import source
from transfer.data.cache import Pixels
from transfer.data.splits import assign_folds
from transfer.features.extract import extract_features_uncached, last_layer
from transfer.features.linear_probe import LinearHead, Probe, fit_probe
from transfer.features.metrics import accuracy
from transfer.features.network import Machine, Network
from transfer.finetune import cross_validation
from transfer.finetune.cross_validation import (
    FinetuneTask,
    FoldRunner,
    FoldScores,
    attach_head,
    attach_stage_head,
    finetune,
)
from transfer.finetune.plan import Plan
from transfer.finetune.trainer import History
from transfer.runtime.device import normalise, to_float_images
from transfer.spec.train_spec import TrainSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture


def keep_nothing(scores: FoldScores) -> tuple[bool, str]:
    return False, ''


@pytest.fixture
def machine(tmp_path):
    return Machine(torch.device('cpu'), 'float32', tmp_path, lambda note: None, lambda done: None)


@pytest.fixture
def task(tmp_path, machine):
    """A small network and 48 images of noise, of four classes at random."""
    generator = np.random.default_rng(3)
    images = generator.integers(0, 256, (48, 32, 32, 3)).astype(np.uint8)
    labels = generator.permutation(np.arange(48) % 4)
    card = source(tmp_path / 'zoo')
    network = Network(card, architecture(card.architecture), load(card))
    pixels = Pixels(images, tuple(str(index) for index in range(48)), 32)
    rates = dict.fromkeys(network.architecture.group_names, 0.003)
    spec = TrainSpec(
        rates=rates, precision='float32', flip=False, crop=1.0, jitter=0.0, patience=100, folds=3, batch=16
    )
    plan = Plan('all', '', '', rates, epochs=15)
    features = extract_features_uncached(network, pixels, machine)
    return FinetuneTask(network, pixels, features, labels, 4, spec, plan, pixels.digests)


def test_out_of_fold_scores_do_not_know_their_own_labels(task, machine, tmp_path):
    """On random labels, a network that was trained on an image scores well on it, an honest one at chance."""
    result = finetune(task, machine, tmp_path / 'checkpoints', lambda done, progress: None, keep_nothing)
    scored = ~np.isnan(result.logits[:, 0])
    assert scored.sum() >= 16  # one fold of three at least
    assert accuracy(result.logits[scored], task.labels[scored]) < 0.5
    # The network has learned its training images by heart: a leak would show.
    assert result.curve[-1].loss < 0.3


def test_a_head_in_place_of_the_sources_own_gives_its_scores(task, machine):
    generator = np.random.default_rng(0)
    head = LinearHead(
        generator.normal(size=(4, task.features.shape[1])).astype(np.float32),
        generator.normal(size=4).astype(np.float32),
    )
    model = attach_head(task.network, 4, head)
    card = task.network.source
    images = normalise(
        to_float_images(torch.from_numpy(task.pixels.array), machine.device), card.mean, card.std
    )
    with torch.inference_mode():
        np.testing.assert_allclose(model(images).numpy(), head.logits(task.features), atol=1e-4)


def test_a_head_over_several_stages_gives_its_scores_and_keeps_the_one_over_the_last(machine, tmp_path):
    card = source(tmp_path / 'zoo', 'stages', 'mobilenet_v3_small', 32)
    network = Network(card, architecture(card.architecture), load(card))
    generator = np.random.default_rng(0)
    array = generator.integers(0, 256, (6, 32, 32, 3)).astype(np.uint8)
    features = extract_features_uncached(network, Pixels(array, tuple('abcdef'), 32), machine)
    assert features.shape[1] > network.architecture.feature_size

    def draw_head(width: int) -> LinearHead:
        return LinearHead(generator.normal(size=(4, width)).astype(np.float32), np.zeros(4, np.float32))

    head, last = draw_head(features.shape[1]), draw_head(network.architecture.feature_size)
    model = attach_stage_head(network, 4, head, last)
    images = normalise(to_float_images(torch.from_numpy(array), machine.device), card.mean, card.std)
    with torch.inference_mode():
        np.testing.assert_allclose(model(images).numpy(), head.logits(features), atol=1e-3)
        own = model.network(images).numpy()
    np.testing.assert_allclose(own, last.logits(last_layer(network, features)), atol=1e-3)


def test_a_fold_is_left_out_of_its_own_run_and_the_final_run_takes_every_image(task, machine, tmp_path):
    runner = FoldRunner(task, machine, tmp_path / 'checkpoints', lambda done, progress: None)
    runs = []
    runner._train = lambda trainable, run, report: runs.append(run)
    folds, probe = runner.assign_folds_and_probe()
    config = runner.make_fold(1, folds, probe.fold_heads[1], 1.0, 2, 0)
    assert config.run.train_rows.tolist() == np.flatnonzero(folds != 1).tolist()
    assert config.run.validation_rows.tolist() == np.flatnonzero(folds == 1).tolist()
    runner.train_final(probe.head, 1.0, 2)
    assert runs[0].train_rows.tolist() == list(range(48))
    assert not len(runs[0].validation_rows)


LABELS_OF_TWO_FOLDS = np.array([0, 0, 0, 1, 0, 0, 0, 1])
FOLDS = np.repeat([0, 1], 4)


def epoch_scores(right: int) -> np.ndarray:
    """Of a fold of four images: the first so many right, the others as surely wrong."""
    labels = LABELS_OF_TWO_FOLDS[:4]
    return 3 * np.eye(2)[np.where(np.arange(4) < right, labels, 1 - labels)]


def test_the_epoch_to_stop_at_is_the_best_over_the_images_of_all_folds():
    first = History([epoch_scores(right) for right in (3, 2, 1)])
    second = History([epoch_scores(right) for right in (0, 4, 1)])
    assert cross_validation._best_epoch([first], FOLDS, LABELS_OF_TWO_FOLDS) == 0
    assert cross_validation._best_epoch([first, second], FOLDS, LABELS_OF_TWO_FOLDS) == 1


def test_finetuning_is_given_up_when_the_folds_so_far_say_that_it_loses_and_not_by_chance():
    labels = np.zeros(30, int)
    scored = np.arange(30) < 20

    def scores(wrong: int) -> np.ndarray:
        return np.eye(2)[(np.arange(30) < wrong).astype(int)]

    assert cross_validation._is_hopeless(scores(9), scores(0), labels, scored)
    assert not cross_validation._is_hopeless(scores(2), scores(0), labels, scored)  # 2 of 2 may be chance
    assert not cross_validation._is_hopeless(scores(0), scores(9), labels, scored)
    not_run_yet = np.eye(2)[(~scored).astype(int)]
    assert not cross_validation._is_hopeless(not_run_yet, scores(0), labels, scored)


class KnownRuns:
    """Runs of the first fold whose scores are known by the scale of their rates."""

    def __init__(self, task: FinetuneTask, right: dict[float, int]) -> None:
        self.task, self.right, self.heads = task, right, []

    def make_fold(self, fold, folds, head, scale, stop, patience):
        self.heads.append(head)
        return scale

    def run_folds(self, scales, start, share, message):
        return [History([epoch_scores(self.right[scale])]) for scale in scales]


@pytest.mark.parametrize(('low', 'high', 'chosen'), [(2, 4, 3.0), (4, 2, 1.0)])
def test_the_first_fold_decides_which_rates_are_used_unless_they_were_given(task, low, high, chosen):
    free = dataclasses.replace(task, labels=LABELS_OF_TWO_FOLDS, spec=TrainSpec())
    probe = Probe(None, np.empty(0), ('head without the first fold', 'without the second'), 1.0)
    runner = KnownRuns(free, {1.0: low, 3.0: high})
    assert cross_validation._run_first_fold(runner, FOLDS, 2, probe)[0] == chosen
    assert set(runner.heads) == {'head without the first fold'}
    given = KnownRuns(dataclasses.replace(free, spec=task.spec), {1.0: low, 3.0: high})
    assert cross_validation._run_first_fold(given, FOLDS, 2, probe)[0] == 1.0


def test_each_run_starts_from_the_head_that_has_not_seen_its_fold(task, machine, tmp_path):
    """At rates of next to nothing the scores out of fold are those of the heads."""
    rates = dict.fromkeys(task.spec.rates, 1e-9)
    spec = dataclasses.replace(task.spec, rates=rates)
    still = dataclasses.replace(task, spec=spec, plan=Plan('all', '', '', rates, epochs=1))
    folds = assign_folds(task.labels, list(task.pixels.digests), 3, spec.seed, tiny=0)
    probe = fit_probe(task.features, task.labels, 4, folds)
    result = finetune(still, machine, tmp_path / 'checkpoints', lambda done, progress: None, keep_nothing)
    np.testing.assert_allclose(result.logits, probe.logits, atol=1e-3)
    assert result.facts.folds_run == 3
