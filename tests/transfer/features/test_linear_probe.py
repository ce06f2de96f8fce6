"""Linear heads: as scikit-learn would fit them, chosen without looking at what they are judged on."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from transfer.data.splits import assign_folds
from transfer.features import linear_probe
from transfer.features.metrics import accuracy, log_loss
from transfer.runtime.softmax import softmax


def blobs(
    n: int = 120, classes: int = 3, width: int = 20, distance: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    chance = np.random.default_rng(0)
    labels = np.arange(n) % classes
    middles = chance.normal(0, distance, (classes, width))
    return (middles[labels] + chance.normal(0, 1, (n, width))).astype(np.float32), labels


def folds_of(labels: np.ndarray, k: int = 5) -> np.ndarray:
    return assign_folds(labels, [str(i) for i in range(len(labels))], k, 0)


@pytest.mark.parametrize('width', [8, 200])
def test_the_head_is_the_one_that_scikit_learn_finds(width):
    features, labels = blobs(width=width, distance=0.7)
    found = linear_probe.fit_probe(features, labels, 3, folds_of(labels))
    scale = features.std(0).clip(min=linear_probe.SMALLEST_SPREAD * features.std(0).mean()) * np.sqrt(width)
    slow = LogisticRegression(C=1 / (found.penalty * len(labels)), tol=1e-9, max_iter=20_000)
    slow.fit((features - features.mean(0)) / scale, labels)
    expected = slow.predict_proba((features - features.mean(0)) / scale)
    assert np.abs(softmax(found.head.logits(features)) - expected).max() < 0.01


def test_out_of_fold_scores_do_not_know_their_own_labels():
    """On labels drawn by lot, a head that had seen an image would score well; an honest one is at chance."""
    features, _ = blobs(n=200, width=400)
    labels = np.random.default_rng(5).permutation(np.arange(200) % 4)
    found = linear_probe.fit_probe(features, labels, 4, folds_of(labels))
    assert accuracy(found.logits, labels) < 0.36
    assert log_loss(found.logits, labels) < 1.6  # log 4 = 1.386: neither sure of itself


def test_each_image_is_scored_by_the_head_of_its_fold():
    features, labels = blobs()
    folds = folds_of(labels)
    found = linear_probe.fit_probe(features, labels, 3, folds)
    for fold, head in enumerate(found.fold_heads):
        assert np.allclose(found.logits[folds == fold], head.logits(features[folds == fold]))


def test_separable_classes_are_separated():
    features, labels = blobs(distance=3)
    found = linear_probe.fit_probe(features, labels, 3, folds_of(labels))
    assert accuracy(found.logits, labels) == 1.0


def test_two_images_a_class_suffice():
    features, labels = blobs(n=4, classes=2, distance=3)
    found = linear_probe.fit_probe(features, labels, 2, folds_of(labels))
    assert np.isfinite(found.logits).all()
    assert accuracy(found.head.logits(features), labels) == 1.0


def test_dead_and_equal_features_do_no_harm():
    features, labels = blobs(distance=2)
    spoiled = np.concatenate([features, np.zeros((120, 5)), np.full((120, 3), 7.0)], 1).astype(np.float32)
    found = linear_probe.fit_probe(spoiled, labels, 3, folds_of(labels))
    assert np.isfinite(found.head.weight).all()
    assert accuracy(found.logits, labels) > 0.95
    nothing = linear_probe.fit_probe(np.ones((120, 4), np.float32), labels, 3, folds_of(labels))
    assert np.isfinite(nothing.logits).all()


def test_the_same_features_give_the_same_head():
    features, labels = blobs()
    first, second = (linear_probe.fit_probe(features, labels, 3, folds_of(labels)) for _ in range(2))
    assert np.array_equal(first.head.weight, second.head.weight)
    assert np.array_equal(first.logits, second.logits)


def test_what_tells_little_is_fitted_with_a_strong_penalty_and_what_tells_all_with_a_weak_one():
    features, _ = blobs(n=200, width=100)
    by_lot = np.random.default_rng(5).permutation(np.arange(200) % 4)
    strong = linear_probe.fit_probe(features, by_lot, 4, folds_of(by_lot)).penalty
    features, labels = blobs(n=200, distance=3)
    weak = linear_probe.fit_probe(features, labels, 3, folds_of(labels)).penalty
    assert strong == linear_probe.PENALTIES[-1]
    assert weak == linear_probe.PENALTIES[0]


def test_the_head_of_a_fold_is_the_same_whatever_the_labels_of_that_fold_are():
    features, labels = blobs(n=60, width=30, distance=0.35)
    folds = folds_of(labels, 3)
    first = linear_probe.fit_probe(features, labels, 3, folds).fold_heads
    for fold in range(3):
        for shift in (1, 2):
            told = np.where(folds == fold, (labels + shift) % 3, labels)
            again = linear_probe.fit_probe(features, told, 3, folds).fold_heads
            np.testing.assert_allclose(again[fold].weight, first[fold].weight, atol=1e-6)


def test_a_feature_that_hardly_varies_decides_nothing():
    features, _ = blobs(n=120, width=20)
    labels = np.random.default_rng(5).permutation(np.arange(120) % 2)
    tiny = (1e-6 * labels + 0.5).astype(np.float32)[:, None]
    found = linear_probe.fit_probe(np.hstack([features, tiny]), labels, 2, folds_of(labels))
    assert accuracy(found.logits, labels) < 0.7
