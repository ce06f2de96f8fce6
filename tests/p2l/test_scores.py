from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial.distance import cosine, jensenshannon
from scipy.stats import entropy, wasserstein_distance, zscore

from p2l.scores import (
    DIVERGENCES,
    divergences,
    earth_movers_distance,
    kl_divergences,
    similarity_scores,
    size_scores,
    standard_scores,
)
from p2l.signatures import ClassMeans, log_signatures, signature


def compare(kind, target, source):
    """The divergence of one target from one source, by their mean features."""
    return divergences(kind, [target], [source])[0, 0]


@pytest.fixture
def pairs():
    generator = np.random.default_rng(3)
    return [(generator.random(64), generator.random(64) ** 3) for _ in range(20)]


def test_divergences_by_hand():
    # sum p log(p/q) for p = (1/2, 1/2), q = (1/4, 3/4): log(2)/2 + log(2/3)/2
    forward = (np.log(2) + np.log(2 / 3)) / 2
    backward = np.log(0.5) / 4 + 3 * np.log(1.5) / 4
    assert compare('kl', [1, 1], [1, 3]) == pytest.approx(forward)
    assert compare('kl_reverse', [1, 1], [1, 3]) == pytest.approx(backward)
    assert kl_divergences([0.25, 0.75], np.log([[0.5, 0.5]]))[0] == pytest.approx(backward)
    assert compare('cosine', [1, 0.0], [1, 1]) == pytest.approx(1 - 1 / np.sqrt(2))


@pytest.mark.parametrize('kind', DIVERGENCES[:-1])
def test_nothing_diverges_from_itself(pairs, kind):
    for p, _ in pairs:
        assert compare(kind, p, p) == pytest.approx(0, abs=1e-12)


def test_the_direction_is_target_to_source_and_the_other_differs(pairs):
    p, q = pairs[0]
    assert compare('kl', p, q) != pytest.approx(compare('kl', q, p))
    assert compare('kl_reverse', p, q) == pytest.approx(compare('kl', q, p))
    assert compare('js', p, q) == pytest.approx(compare('js', q, p))


def test_one_product_scores_many_targets_against_many_sources():
    rng = np.random.default_rng(5)
    targets, sources = signature(rng.random((3, 32))), rng.random((7, 32))
    fast = kl_divergences(targets, log_signatures(sources))
    slow = [[entropy(p, signature(source)) for source in sources] for p in targets]
    np.testing.assert_allclose(fast, slow, rtol=1e-9)


def test_signatures_stored_in_single_precision_lose_nothing_that_matters():
    rng = np.random.default_rng(6)
    p, logs = signature(rng.random(576)), log_signatures(rng.random((50, 576)))
    np.testing.assert_allclose(kl_divergences(p, logs.astype(np.float32)), kl_divergences(p, logs), atol=1e-5)


def test_standard_scores_agree_with_scipy_and_do_not_blow_up_rounding():
    values = np.array([1.0, 4.0, 9.0])
    np.testing.assert_allclose(standard_scores(values), zscore(values))
    np.testing.assert_array_equal(standard_scores([0.1 + 0.2, 0.3, 0.3]), [0, 0, 0])
    np.testing.assert_array_equal(standard_scores([5.0]), [0])


def test_the_nearer_and_the_larger_score_higher():
    assert np.argmax(similarity_scores([0.3, 0.1, 0.2])) == 1
    np.testing.assert_allclose(size_scores([10, 100, 1000]), [-np.sqrt(1.5), 0, np.sqrt(1.5)], atol=1e-12)


def test_a_source_without_images_is_refused():
    with pytest.raises(ValueError, match='how many images'):
        size_scores([10, 0])


@pytest.mark.parametrize(
    ('kind', 'slowly'),
    [
        ('kl', lambda p, q: entropy(p, q)),
        ('kl_reverse', lambda p, q: entropy(q, p)),
        ('js', lambda p, q: jensenshannon(p, q) ** 2),
        ('cosine', cosine),
    ],
)
def test_every_divergence_of_many_against_many_agrees_with_scipy(kind, slowly):
    generator = np.random.default_rng(0)
    targets, sources = generator.random((3, 20)), generator.random((4, 20)) ** 3
    found = divergences(kind, targets, sources)
    assert found.shape == (3, 4)
    wanted = [[slowly(signature(p), signature(q)) for q in sources] for p in targets]
    np.testing.assert_allclose(found, wanted, rtol=1e-6, atol=1e-9)


def test_an_unknown_divergence_is_refused():
    with pytest.raises(ValueError, match='there is no divergence'):
        divergences('euclid', [[1.0]], [[1.0]])


def test_the_earth_movers_distance_is_the_least_transport_by_hand():
    a = ClassMeans(np.array([[0.0, 0], [10, 0]]), np.array([30.0, 10]))
    b = ClassMeans(np.array([[3.0, 4], [10, 0]]), np.array([1.0, 1]))
    # three quarters of a lie at (0, 0): half go 5 to (3, 4), a quarter goes 10 to (10, 0)
    assert earth_movers_distance(a, b) == pytest.approx(0.5 * 5 + 0.25 * 10)
    assert earth_movers_distance(b, a) == pytest.approx(0.5 * 5 + 0.25 * 10)


def test_the_earth_movers_distance_of_one_feature_agrees_with_scipy():
    generator = np.random.default_rng(1)
    a, b = (ClassMeans(generator.random((n, 1)), generator.integers(1, 90, n).astype(float)) for n in (7, 5))
    wanted = wasserstein_distance(a.means[:, 0], b.means[:, 0], a.images, b.images)
    assert earth_movers_distance(a, b) == pytest.approx(wanted)


def test_of_single_classes_the_earth_movers_distance_is_that_of_their_means():
    a, b = (
        ClassMeans(np.array([[1.0, 2]]), np.array([5.0])),
        ClassMeans(np.array([[4.0, 6]]), np.array([90.0])),
    )
    assert earth_movers_distance(a, b) == pytest.approx(5)
    assert earth_movers_distance(a, a) == pytest.approx(0)
