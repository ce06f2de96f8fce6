from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import distance
from scipy.stats import entropy, zscore

from p2l.scores import (
    cosine_distance,
    jensen_shannon_divergence,
    kl_divergence,
    kl_divergences,
    similarity_scores,
    size_scores,
    standard_scores,
)
from p2l.signatures import log_signatures, signature


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
