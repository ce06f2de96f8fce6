"""Figures against hand-worked tables and slow twins."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.metrics import confusion_matrix as slow_confusion_matrix
from sklearn.metrics import log_loss as slow_log_loss

from transfer.data.manifests import LabelledImage
from transfer.features.metrics import (
    confusion_matrix,
    describe_classes,
    list_misclassified,
    log_loss,
    paired_gain,
    wilson_interval,
)
from transfer.runtime.softmax import softmax


@pytest.mark.parametrize(
    ('right', 'n', 'low', 'high'),
    [(13, 21, 0.4088, 0.7925), (0, 10, 0.0, 0.2775), (10, 10, 0.7225, 1.0), (225, 250, 0.8566, 0.9313)],
)
def test_wilson_gives_the_published_intervals(right, n, low, high):
    assert wilson_interval(right, n) == pytest.approx((low, high), abs=5e-4)


def test_nothing_seen_says_nothing():
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_log_loss_agrees_with_scikit_learn():
    logits = np.random.default_rng(0).normal(0, 3, (50, 4))
    labels = np.random.default_rng(1).integers(0, 4, 50)
    assert log_loss(logits, labels) == pytest.approx(slow_log_loss(labels, softmax(logits), labels=range(4)))
    assert log_loss(logits * 1e4, labels) < math.inf


def test_confusion_has_the_truth_in_its_rows():
    truth, predicted = np.array([0, 0, 1, 2, 2, 2]), np.array([0, 1, 1, 0, 2, 2])
    table = confusion_matrix(predicted, truth, 3)
    assert np.array_equal(table, slow_confusion_matrix(truth, predicted))
    assert table[2, 0] == 1


def test_precision_and_recall_come_with_n_and_intervals():
    rows = describe_classes(np.array([[3, 1, 0], [0, 4, 0], [0, 0, 0]]), ['a', 'b', 'never'])
    assert (rows[0].recall, rows[0].n, rows[0].precision) == (0.75, 4, 1.0)
    assert (rows[1].precision, rows[1].predicted) == (0.8, 5)
    assert rows[2].recall is None
    assert rows[2].precision is None
    assert rows[0].recall_interval == wilson_interval(3, 4)


def test_the_surest_mistake_comes_first():
    images = [
        LabelledImage('', label, f'd{place}', f'{place}.jpg', f'id{place}')
        for place, label in enumerate([0, 1, 1])
    ]
    wrong = list_misclassified(images, ['a', 'b'], np.array([[0.4, 0.6], [0.1, 0.9], [0.95, 0.05]]))
    assert [(row.name, row.prediction, row.id) for row in wrong] == [
        ('2.jpg', 'a', 'id2'),
        ('0.jpg', 'b', 'id0'),
    ]


def test_a_pair_is_compared_where_it_differs():
    labels = np.array([0, 0, 1, 1])
    a, b = np.eye(2)[[0, 0, 1, 0]], np.eye(2)[[1, 0, 0, 1]]
    assert paired_gain(a, b, labels) == (2, 1)


def test_a_temperature_divides_the_scores():
    logits = np.array([[4.0, 1, 0], [0, 3, 1]])
    labels = np.array([0, 2])
    assert log_loss(logits, labels, 2.0) == pytest.approx(log_loss(logits / 2, labels))
    assert log_loss(logits, labels, 2.0) != pytest.approx(log_loss(logits, labels))
