from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize

from p2l.transferability import knn_accuracy, leep, logme


def log_evidence(features, y, alpha, beta):
    """The log evidence per image of y ~ N(0, F F' / alpha + I / beta), from its definition."""
    n = len(y)
    covariance = features @ features.T / alpha + np.eye(n) / beta
    _, volume = np.linalg.slogdet(covariance)
    return -0.5 * (n * np.log(2 * np.pi) + volume + y @ np.linalg.solve(covariance, y)) / n


@pytest.mark.parametrize(('n', 'd'), [(30, 4), (12, 40)], ids=['more images than features', 'fewer'])
def test_logme_is_the_largest_evidence_of_each_class_averaged(n, d):
    generator = np.random.default_rng(0)
    labels = np.arange(n) % 3
    features = generator.normal(size=(n, d)) + 2 * np.eye(3, d)[labels]

    def least(y):
        found = [
            minimize(
                lambda x: -log_evidence(features, y, *np.exp(x)),
                start,
                method='Nelder-Mead',
                options={'xatol': 1e-6},
            ).fun
            for start in ((0, 0), (2, 2), (-2, 2))
        ]
        return -min(found)

    wanted = np.mean([least((labels == label).astype(float)) for label in range(3)])
    assert logme(features, labels) == pytest.approx(wanted, abs=1e-3)


def test_logme_of_one_feature_that_tells_nothing_is_that_of_plain_noise():
    # y has mean square 1/2 and F is orthogonal to it: alpha grows without end, and the evidence is N(0,
    # 1/2)'s
    features = np.array([[1.0], [-1], [1], [-1]])
    labels = np.array([0, 0, 1, 1])
    assert logme(features, labels) == pytest.approx(-0.5 * (np.log(2 * np.pi * 0.5) + 1), abs=5e-3)


def test_logme_rises_as_the_classes_part():
    generator = np.random.default_rng(1)
    labels = np.arange(60) % 3
    near, far = (generator.normal(size=(60, 8)) + gap * np.eye(3, 8)[labels] for gap in (0.5, 4))
    assert logme(far, labels) > logme(near, labels)


def test_leep_by_hand():
    theta = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    labels = np.array([0, 0, 1])
    # P(0, z) = (1.7, 0.3) / 3, P(1, z) = (0.3, 0.7) / 3, P(z) = (2, 1) / 3: P(0 | z) = (0.85, 0.3), P(1 | z)
    # = (0.15, 0.7)
    expected = [0.85 * 0.9 + 0.3 * 0.1, 0.85 * 0.8 + 0.3 * 0.2, 0.15 * 0.3 + 0.7 * 0.7]
    assert leep(theta, labels) == pytest.approx(np.log(expected).mean())


def test_leep_of_a_source_that_names_each_class_is_nought_and_of_one_that_always_says_the_same_the_entropy():
    labels = np.array([0, 1, 0, 1])
    assert leep(np.eye(2)[labels], labels) == pytest.approx(0)
    assert leep(np.full((4, 2), 0.5), labels) == pytest.approx(np.log(0.5))


def test_a_source_class_that_no_image_shows_changes_nothing():
    theta = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7]])
    labels = np.array([0, 0, 1])
    assert leep(np.hstack([theta, np.zeros((3, 1))]), labels) == pytest.approx(leep(theta, labels))


def test_answers_that_are_no_probabilities_are_refused():
    with pytest.raises(ValueError, match='sum one'):
        leep([[0.9, 0.9]], [0])


def test_neighbours_leave_the_image_itself_out():
    features = np.array([[1.0, 0.0], [1, 0.1], [0, 1], [0.1, 1], [0.9, 1]])
    labels = np.array([0, 0, 1, 1, 0])
    # nearest by cosine: 0-1, 2-3; the last lies by image 3, which is of the other class
    assert knn_accuracy(features, labels, neighbours=1) == pytest.approx(4 / 5)


def test_the_vote_of_two_near_neighbours_beats_one_that_is_a_little_nearer():
    angles = np.radians([0, 5, 6, 7, 90, 93, 95])
    features = np.stack([np.cos(angles), np.sin(angles)], 1)
    labels = np.array([0, 1, 0, 0, 1, 1, 1])
    assert knn_accuracy(features, labels, neighbours=3) == pytest.approx(6 / 7)


def test_length_does_not_matter_to_neighbours():
    generator = np.random.default_rng(2)
    features, labels = generator.random((20, 5)), np.arange(20) % 2
    assert knn_accuracy(features, labels) == knn_accuracy(features * generator.random((20, 1)), labels)


@pytest.mark.parametrize('measure', [logme, leep, knn_accuracy])
def test_features_and_labels_must_fit(measure):
    with pytest.raises(ValueError, match='one label an image'):
        measure(np.full((3, 1), 1.0), [0, 1])


def test_of_two_images_the_other_one_is_asked_however_far_it_lies():
    assert knn_accuracy([[1.0, 0.0], [-0.9, 0.3]], [1, 1]) == 1


def test_outputs_below_nought_are_refused_though_their_sum_is_one():
    with pytest.raises(ValueError, match='sum one'):
        leep([[1.5, -0.5], [0.5, 0.5]], [0, 1])
