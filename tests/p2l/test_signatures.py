from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from p2l.signatures import (
    EPSILON,
    ClassMeans,
    compute_class_means,
    log_signatures,
    mean_feature,
    round_mean_feature,
    signature,
)

matrices = arrays(np.float64, st.tuples(st.integers(1, 6), st.integers(2, 8)), elements=st.floats(0, 100))


@given(matrices)
def test_a_signature_is_a_probability_vector_without_zeros(features):
    p = signature(mean_feature(features))
    assert p.sum() == pytest.approx(1)
    assert p.min() > 0


@given(matrices)
def test_the_order_of_the_images_does_not_matter(features):
    np.testing.assert_allclose(mean_feature(features), mean_feature(features[::-1]), rtol=1e-12)


def test_a_signature_by_hand():
    np.testing.assert_allclose(mean_feature([[1, 0], [5, 2]]), [3, 1])
    np.testing.assert_allclose(
        signature([3, 1]), [(3 + EPSILON) / (4 + 2 * EPSILON), (1 + EPSILON) / (4 + 2 * EPSILON)]
    )


def test_the_scale_of_the_features_hardly_matters():
    np.testing.assert_allclose(signature([3.0, 1.0]), signature([300.0, 100.0]), atol=1e-8)


def test_stored_signatures_are_logarithms_row_by_row():
    means = np.array([[1.0, 3.0], [2.0, 0.0]])
    np.testing.assert_allclose(np.exp(log_signatures(means)), [signature(row) for row in means])


@pytest.mark.parametrize(
    ('features', 'message'),
    [
        (np.zeros((0, 4)), 'full matrix'),
        (np.zeros(4), 'full matrix'),
        ([[1.0, -0.1]], 'not negative'),
        ([[1.0, np.nan]], 'finite'),
        ([[1.0, np.inf]], 'finite'),
    ],
)
def test_features_that_mean_nothing_are_refused(features, message):
    with pytest.raises(ValueError, match=message):
        mean_feature(features)


def test_class_means_are_the_mean_of_each_class_that_has_images():
    found = compute_class_means([[1.0, 0], [3, 0], [0, 5]], [0, 0, 2])
    assert found.means.tolist() == [[2, 0], [0, 5]]
    assert found.images.tolist() == [2, 1]


def test_an_image_drawn_twice_counts_twice_and_a_class_not_drawn_is_left_out():
    found = compute_class_means([[1.0, 0], [3, 0], [0, 5]], [0, 0, 1], weights=[1, 3, 0])
    assert found.means.tolist() == [[2.5, 0]]
    assert found.images.tolist() == [4]


@pytest.mark.parametrize(
    ('means', 'images'), [([[-1.0]], [1.0]), ([[1.0]], [0.0]), ([[np.nan]], [1.0]), ([[1.0]], [1.0, 2.0])]
)
def test_class_means_that_make_no_sense_are_refused(means, images):
    with pytest.raises(ValueError, match=r'must|needed'):
        ClassMeans(np.array(means), np.array(images))


def test_a_stored_feature_is_a_plain_number_of_six_digits():
    found = round_mean_feature(np.array([1 / 3, 2e-7], dtype=np.float32))
    assert found == [0.333333, 0.0]
    assert {type(value) for value in found} == {float}
