from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import distance
from scipy.spatial.distance import cosine, jensenshannon
from scipy.stats import entropy, wasserstein_distance, zscore

from p2l.scores import (
    cosine_distance,
    divergences,
    domain_similarity,
    earth_movers_distance,
    jensen_shannon_divergence,
    kl_divergence,
    kl_divergences,
    similarity_scores,
    size_scores,
    standard_scores,
)
from p2l.signatures import Look, log_signatures, signature


@pytest.fixture
def pairs():
    rng = np.random.default_rng(3)
    return [(signature(rng.random(64)), signature(rng.random(64) ** 3)) for _ in range(20)]


def test_divergences_by_hand():
    # sum p log(p/q) for p = (1/2, 1/2), q = (1/4, 3/4): log(2)/2 + log(2/3)/2
    assert kl_divergence([0.5, 0.5], [0.25, 0.75]) == pytest.approx((np.log(2) + np.log(2 / 3)) / 2)
    assert kl_divergence([0.25, 0.75], [0.5, 0.5]) == pytest.approx(np.log(0.5) / 4 + 3 * np.log(1.5) / 4)
    assert cosine_distance([1, 0.0], [1, 1]) == pytest.approx(1 - 1 / np.sqrt(2))


def test_nothing_diverges_from_itself(pairs):
    for p, _ in pairs:
        assert kl_divergence(p, p) == pytest.approx(0, abs=1e-12)
        assert jensen_shannon_divergence(p, p) == pytest.approx(0, abs=1e-12)
        assert cosine_distance(p, p) == pytest.approx(0, abs=1e-12)


def test_divergences_agree_with_scipy(pairs):
    for p, q in pairs:
        assert kl_divergence(p, q) == pytest.approx(entropy(p, q))
        assert jensen_shannon_divergence(p, q) == pytest.approx(distance.jensenshannon(p, q) ** 2)
        assert cosine_distance(p, q) == pytest.approx(distance.cosine(p, q))


def test_the_direction_is_target_to_source_and_the_other_differs(pairs):
    p, q = pairs[0]
    assert kl_divergence(p, q) != pytest.approx(kl_divergence(q, p))
    assert jensen_shannon_divergence(p, q) == pytest.approx(jensen_shannon_divergence(q, p))


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
    chance = np.random.default_rng(0)
    targets, sources = chance.random((3, 20)), chance.random((4, 20))
    found = divergences(kind, targets, sources)
    assert found.shape == (3, 4)
    np.testing.assert_allclose(
        found, [[slowly(p, q) for q in sources] for p in targets], rtol=1e-4, atol=1e-9
    )


def test_an_unknown_divergence_is_refused():
    with pytest.raises(ValueError, match='there is no divergence'):
        divergences('euclid', [[1.0]], [[1.0]])


def test_earth_is_moved_along_the_shortest_ways():
    a = Look(np.array([[0.0, 0], [10, 0]]), np.array([30.0, 10]))
    b = Look(np.array([[3.0, 4], [10, 0]]), np.array([1.0, 1]))
    # three quarters of a lie at (0, 0): half go 5 to (3, 4), a quarter goes 10 to (10, 0)
    assert earth_movers_distance(a, b) == pytest.approx(0.5 * 5 + 0.25 * 10)
    assert earth_movers_distance(b, a) == pytest.approx(0.5 * 5 + 0.25 * 10)
    assert domain_similarity(a, b) == pytest.approx(np.exp(-0.05))


def test_the_earth_movers_distance_of_one_feature_agrees_with_scipy():
    chance = np.random.default_rng(1)
    a, b = (Look(chance.random((n, 1)), chance.integers(1, 90, n).astype(float)) for n in (7, 5))
    wanted = wasserstein_distance(a.means[:, 0], b.means[:, 0], a.images, b.images)
    assert earth_movers_distance(a, b) == pytest.approx(wanted)


def test_of_single_classes_the_earth_movers_distance_is_that_of_their_means():
    a, b = Look(np.array([[1.0, 2]]), np.array([5.0])), Look(np.array([[4.0, 6]]), np.array([90.0]))
    assert earth_movers_distance(a, b) == pytest.approx(5)
    assert earth_movers_distance(a, a) == pytest.approx(0)
