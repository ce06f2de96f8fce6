from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import entropy, zscore

from p2l import ranking
from p2l.ranking import RankedSource, SourceProfile, choose_within_noise, rank_sources, shortlist
from p2l.signatures import ClassMeans

D = 24


def features_like(mean: np.ndarray, count: int, seed: int, noise: float = 0.3) -> np.ndarray:
    return np.abs(mean + noise * np.random.default_rng(seed).standard_normal((count, len(mean))))


@pytest.fixture
def world():
    """Three domains: images of the first, and candidates of each."""
    means = np.random.default_rng(0).random((3, D)) * 4
    candidates = [SourceProfile(f'domain{index}', 1000, mean) for index, mean in enumerate(means)]
    return features_like(means[0], 60, seed=1), candidates


def test_a_source_of_the_targets_own_domain_comes_first_and_stays_there(world):
    features, candidates = world
    ranked = rank_sources(features, candidates)
    assert ranked[0].name == 'domain0'
    assert ranked[0].stability == 1
    assert ranked[0].divergence < ranked[1].divergence


def test_scores_agree_with_the_formula_written_out_slowly(world):
    features, candidates = world
    candidates = [
        SourceProfile(c.name, n, c.signature) for c, n in zip(candidates, (500, 1_200_000, 2000), strict=True)
    ]
    ranked = {item.name: item for item in rank_sources(features, candidates, weights=(1.5, 0.6))}
    nats = [entropy(features.mean(0) + 1e-8, np.asarray(c.signature) + 1e-8) for c in candidates]
    similarity, size = zscore(-np.array(nats)), zscore(np.log([c.images for c in candidates]))
    for index, candidate in enumerate(candidates):
        item = ranked[candidate.name]
        assert item.divergence == pytest.approx(nats[index])
        assert item.similarity_part == pytest.approx(1.5 * similarity[index])
        assert item.size_part == pytest.approx(0.6 * size[index])
        assert item.score == pytest.approx(item.similarity_part + item.size_part)


def test_with_likeness_equal_the_larger_source_comes_first(world):
    features, candidates = world
    twins = [
        SourceProfile('small', 100, candidates[1].signature),
        SourceProfile('large', 10_000, candidates[1].signature),
    ]
    assert [item.name for item in rank_sources(features, twins)] == ['large', 'small']


def test_equal_candidates_keep_the_order_they_came_in(world):
    features, candidates = world
    same = [SourceProfile(name, 1000, candidates[0].signature, 'ImageNet') for name in 'dacb']
    ranked = rank_sources(features, [*same, candidates[2]])
    assert [item.name for item in ranked] == ['d', 'a', 'c', 'b', 'domain2']
    assert ranked[0].stability == 1
    assert len({item.score for item in ranked[:4]}) == 1


def test_a_source_without_signature_stands_at_the_mean_and_says_so(world):
    features, candidates = world
    ranked = rank_sources(
        features, [*candidates, SourceProfile('unsigned', 1000, None), SourceProfile('empty', 1000, ())]
    )
    for name in ('unsigned', 'empty'):
        item = next(item for item in ranked if item.name == name)
        assert (item.similarity_part, item.divergence, item.has_signature) == (0.0, None, False)
    assert sum(item.similarity_part for item in ranked) == pytest.approx(0, abs=1e-9)


def test_without_any_signature_size_alone_decides(world):
    ranked = rank_sources(
        world[0], [SourceProfile('a', 10), SourceProfile('b', 1000), SourceProfile('c', 100)]
    )
    assert [item.name for item in ranked] == ['b', 'c', 'a']
    assert ranked[0].stability == 1


@pytest.fixture
def undecided():
    """A target between two sources, so that a resample may tip it."""
    means = np.random.default_rng(2).random((2, D)) + 1
    candidates = [SourceProfile('a', 1000, means[0]), SourceProfile('b', 1000, means[1])]
    return features_like(means.mean(0), 12, seed=4, noise=0.8), candidates


def test_stability_is_the_share_of_resamples_won_as_counted_one_by_one(undecided):
    features, candidates = undecided
    means = [candidate.signature for candidate in candidates]
    ranked = {
        item.name: item.stability for item in rank_sources(features, candidates, seed=9, bootstraps=300)
    }
    rng = np.random.default_rng(9)
    wins = 0
    for _ in range(300):
        counts = rng.multinomial(12, np.full(12, 1 / 12))
        mean = np.repeat(features, counts, axis=0).mean(0) + 1e-8
        wins += entropy(mean, means[0] + 1e-8) < entropy(mean, means[1] + 1e-8)
    assert 0 < wins < 300
    assert ranked['a'] == pytest.approx(wins / 300)
    assert sum(ranked.values()) == pytest.approx(1)


def test_the_same_seed_gives_the_same_ranking_and_another_one_other_resamples(undecided):
    first, *others = (rank_sources(*undecided, seed=4) for _ in range(5))
    assert others == [first] * 4
    stability = {tuple(item.stability for item in rank_sources(*undecided, seed=seed)) for seed in range(5)}
    assert len(stability) > 1


def test_blocks_of_bootstraps_change_nothing(world, monkeypatch):
    whole = rank_sources(*world)
    monkeypatch.setattr(ranking, 'BLOCK', 7)
    assert rank_sources(*world) == whole


def test_no_candidates_give_no_ranking(world):
    assert rank_sources(world[0], []) == []


def test_a_signature_of_another_reference_is_refused_by_name(world):
    with pytest.raises(ValueError, match='signature of odd must be 24'):
        rank_sources(world[0], [SourceProfile('odd', 10, np.ones(D + 1))])


@pytest.mark.parametrize('value', [-0.1, np.nan, np.inf])
def test_a_signature_with_a_number_that_no_mean_feature_can_be_is_refused_by_name(world, value):
    with pytest.raises(ValueError, match='signature of odd must be 24 finite numbers, none negative'):
        rank_sources(world[0], [SourceProfile('odd', 10, [*np.ones(D - 1), value])])


def item(name: str, dataset: str) -> RankedSource:
    return RankedSource(name, 0.1, 10, 0, 0, 0, 0, True, dataset)


def test_a_shortlist_takes_three_of_one_data_set_while_others_are_left():
    row = [*(item(f'i{number}', 'ImageNet') for number in (1, 2, 3, 4)), item('birds', 'iNaturalist')]
    assert [item.name for item in shortlist(row, 4)] == ['i1', 'i2', 'i3', 'birds']
    assert [item.name for item in shortlist(row[:4], 4)] == ['i1', 'i2', 'i3', 'i4']
    unknown = [item('a', ''), item('b', ''), item('c', '')]
    assert [item.name for item in shortlist(unknown, 3)] == ['a', 'b', 'c']


@pytest.mark.parametrize('divergence', ['kl', 'kl_reverse', 'js', 'cosine', 'emd'])
def test_every_divergence_finds_the_targets_own_domain(world, divergence):
    features, candidates = world
    ranked = rank_sources(features, candidates, divergence=divergence, bootstraps=10)
    assert ranked[0].name == 'domain0'
    assert ranked[0].stability == 1


def test_the_earth_movers_distance_sees_classes_where_the_mean_of_all_is_the_same():
    low, high = np.full(D, 1.0), np.full(D, 3.0)
    features = np.vstack([features_like(low, 20, 0, 0.1), features_like(high, 20, 1, 0.1)])
    blend = SourceProfile('blend', 1000, np.full(D, 2.0))
    parts = SourceProfile(
        'parts', 1000, np.full(D, 2.0), class_means=ClassMeans(np.stack([low, high]), np.array([5.0, 5.0]))
    )
    labels = np.repeat([0, 1], 20)
    assert (
        rank_sources(features, [blend, parts], divergence='emd', labels=labels, bootstraps=5)[0].name
        == 'parts'
    )


def test_of_networks_of_one_data_set_the_larger_one_goes_first(world):
    features, candidates = world
    twins = [
        SourceProfile(f'of {size}', 1000, candidates[0].signature, 'ImageNet', parameters=size)
        for size in (1, 3, 2)
    ]
    assert [item.name for item in rank_sources(features, twins)] == ['of 3', 'of 2', 'of 1']


def test_an_unknown_divergence_is_refused(world):
    features, candidates = world
    with pytest.raises(ValueError, match='there is no divergence'):
        rank_sources(features, candidates, divergence='euclid')


def right(*share):
    """Which of 100 images each source gets right: the first so many."""
    return [np.arange(100) < hits for hits in share]


def test_within_noise_the_higher_score_is_taken_and_beyond_it_the_better_probe():
    # one image of 100 differs: an error of 1; of 9 differing images, all one way, the error is 3
    assert choose_within_noise(right(79, 80), [(2.0,), (1.0,)]) == 0
    assert choose_within_noise(right(71, 80), [(2.0,), (1.0,)]) == 1
    assert choose_within_noise(right(80, 79), [(1.0,), (2.0,)]) == 1


def test_between_networks_of_one_data_set_the_lighter_one_is_taken_and_of_equal_ones_the_better_probe():
    assert choose_within_noise(right(79, 80, 78), [(2.0, -3.0), (2.0 + 1e-12, -5.0), (1.0, -1.0)]) == 0
    assert choose_within_noise(right(71, 80), [(2.0, -3.0), (2.0, -5.0)]) == 1
    assert choose_within_noise(right(79, 80, 78), [(2.0, 0.0), (2.0 + 1e-12, 0.0), (1.0, 0.0)]) == 1


def test_without_a_probe_nothing_is_taken():
    with pytest.raises(ValueError, match='no source was probed'):
        choose_within_noise([], [])


def test_a_source_of_the_largest_data_set_is_always_probed_as_well():
    ranked = [
        ranked_as(name, images)
        for name, images in (('a', 10), ('b', 20), ('c', 30), ('huge', 99), ('huger', 99))
    ]
    assert [item.name for item in shortlist(ranked, 3)] == ['a', 'b', 'huge']
    assert [item.name for item in shortlist(ranked, 4)] == ['a', 'b', 'c', 'huge']
    assert [item.name for item in shortlist(ranked, 1)] == ['a']


def ranked_as(name, images):
    return RankedSource(name, 0.0, images, 0.0, 0.0, 0.0, 1.0, True, name)
