from __future__ import annotations

import csv

import numpy as np
import pytest
from scipy.stats import weightedtau

from p2l.benchmark.metrics import (
    AccuracyTable,
    add_cost,
    compare_regrets,
    evaluate_baseline,
    score_by_other_targets,
    score_by_size,
    seed_errors,
)


def table(rows, seeds=1):
    accuracy = np.repeat(np.array(rows, dtype=float)[:, :, None], seeds, axis=2)
    return AccuracyTable(
        tuple(f't{i}' for i in range(len(rows))), tuple(f's{i}' for i in range(len(rows[0]))), accuracy
    )


HAND = [[0.9, 0.8, 0.5], [0.4, 0.6, 0.5]]


def test_a_rule_loses_what_its_pick_falls_behind_the_best():
    found = evaluate_baseline('first', np.array([[3.0, 2, 1], [3, 2, 1]]), table(HAND))
    assert found.by_target == pytest.approx((0.0, 0.2))
    assert found.regret.mean == pytest.approx(0.1)
    assert found.relative.mean == pytest.approx((1 + 0.4 / 0.6) / 2)
    assert found.top1 == 0.5
    assert found.chance == pytest.approx(1 / 3)
    assert found.top3_regret == pytest.approx(0)


def test_the_interval_spans_the_targets():
    found = evaluate_baseline('first', np.array([[3.0, 2, 1], [3, 2, 1]]), table(HAND)).regret
    assert (found.low, found.high) == pytest.approx((0.0, 0.2))


def test_ties_are_broken_at_random_and_not_by_the_order_of_the_sources():
    found = evaluate_baseline('all equal', np.zeros((2, 3)), table(HAND))
    # the mean of 0, 0.1, 0.4 and of 0.2, 0, 0.1
    assert found.regret.mean == pytest.approx((0.5 / 3 + 0.3 / 3) / 2, abs=0.02)
    assert found.tau == 0


def test_a_rule_that_knows_the_accuracies_loses_nothing_and_orders_all():
    found = evaluate_baseline('oracle', np.array(HAND), table(HAND))
    assert found.regret.mean == pytest.approx(0)
    assert found.top1 == 1
    assert found.tau == pytest.approx(1)


def test_an_order_upside_down_has_a_tau_below_zero():
    assert evaluate_baseline('worst', -np.array(HAND), table(HAND)).tau == pytest.approx(-1)


def test_a_pick_within_seed_noise_of_the_best_is_a_hit():
    rows = np.array([[[0.80, 0.86], [0.82, 0.80], [0.2, 0.2]]])
    near = AccuracyTable(('t',), ('a', 'b', 'c'), rows)
    # residuals of source + seed: +-0.02, -+0.02, 0 around means; s2 = sum / 2
    means = rows[0] - rows[0].mean(1, keepdims=True) - rows[0].mean(0) + rows[0].mean()
    assert seed_errors(near)[0] == pytest.approx(np.sqrt(2 * (means**2).sum() / 2 / 2))
    found = evaluate_baseline('second', np.array([[1.0, 2, 0]]), near)
    assert found.top1 == 1
    assert found.chance == pytest.approx(2 / 3)
    assert found.regret.mean == pytest.approx(0.02)


def test_one_seed_has_no_noise_to_hide_behind():
    assert seed_errors(table(HAND)).tolist() == [0, 0]


def test_a_seed_half_run_does_not_spoil_the_noise_of_the_whole_ones():
    rows = np.array([[[0.80, 0.86, 0.9], [0.82, 0.80, np.nan], [0.2, 0.2, np.nan]]])
    assert seed_errors(AccuracyTable(('t',), ('a', 'b', 'c'), rows))[0] > 0


def test_scores_of_each_seed_are_judged_by_the_mean_over_seeds():
    two = table(HAND, seeds=2)
    scores = np.array([[[3.0, 2, 1], [1, 3, 2]], [[1, 3, 2], [1, 3, 2]]])
    assert evaluate_baseline('by seed', scores, two).by_target == pytest.approx((0.05, 0.0))


def test_a_pair_that_was_not_run_is_never_picked():
    rows = [[np.nan, 0.8, 0.5], [0.4, 0.6, 0.5]]
    assert evaluate_baseline(
        'first', np.array([[9.0, 2, 1], [1, 2, 0]]), table(rows)
    ).regret.mean == pytest.approx(0)


def test_a_source_without_a_score_is_never_picked():
    found = evaluate_baseline('some', np.array([[np.nan, 2, 1], [np.nan, 2, 1]]), table(HAND))
    assert found.by_target == pytest.approx((0.1, 0.0))


def test_a_rule_without_any_score_for_a_target_is_refused():
    with pytest.raises(ValueError, match='scores no source'):
        evaluate_baseline('none', np.full((2, 3), np.nan), table(HAND))


def test_the_static_rule_never_looks_at_its_own_target():
    # best elsewhere: on the first target it sees only the second's order, and the other way round
    scores = score_by_other_targets(table(HAND))
    assert scores.argmax(1).tolist() == [1, 0]


def test_the_better_of_two_rules_is_told_on_the_same_targets():
    first = evaluate_baseline('first', np.array([[3.0, 2, 1], [3, 2, 1]]), table(HAND))
    oracle = evaluate_baseline('oracle', np.array(HAND), table(HAND))
    assert compare_regrets(oracle, first).mean == pytest.approx(0.1)


def test_cost_is_a_share_of_finetuning_everything():
    found = add_cost(
        evaluate_baseline('oracle', np.array(HAND), table(HAND)), np.array([1.0, 3.0]), np.array([50.0, 50.0])
    )
    assert (found.seconds, found.share) == (2.0, 0.04)


def test_a_target_with_a_single_source_has_no_choice_to_judge():
    with pytest.raises(ValueError, match='two sources'):
        table([[0.5, np.nan], [0.5, 0.6]])


@pytest.fixture
def published(shared):
    """The published matrix of 4 architectures x 8 sources x 7 targets as 28 targets; a source is never its
    own target."""
    path = shared / 'tables' / 'parc_controlled.csv'
    if not path.exists():
        pytest.skip(f'needs {path}')
    rows = list(csv.DictReader(path.open()))
    sources = tuple(sorted({row['Source Dataset'] for row in rows}))
    targets = tuple(sorted({f'{row["Architecture"]} {row["Target Dataset"]}' for row in rows}))
    accuracy = np.full((len(targets), len(sources), 1), np.nan)
    for row in rows:
        place = (
            targets.index(f'{row["Architecture"]} {row["Target Dataset"]}'),
            sources.index(row['Source Dataset']),
        )
        accuracy[place] = float(row['Oracle'])
    return AccuracyTable(targets, sources, accuracy)


SIZES = {'imagenet': 1_281_167, 'cifar10': 50_000, 'nabird': 23_929, 'stanford_dogs': 12_000, 'cub200': 5_994}


@pytest.mark.shared
def test_the_largest_source_of_the_published_matrix_is_best_in_8_of_28_and_loses_half_of_what_chance_does(
    published,
):
    images = [SIZES.get(name, 4_000) for name in published.sources]
    size = evaluate_baseline('largest', score_by_size(images, 28), published)
    random = evaluate_baseline('random', np.zeros((28, 8)), published)
    assert size.top1 * 28 == pytest.approx(8)
    assert size.chance == pytest.approx(1 / 7)
    assert size.regret.mean == pytest.approx(1.9, abs=0.05)
    assert random.regret.mean == pytest.approx(3.9, abs=0.1)


@pytest.mark.shared
def test_without_imagenet_the_largest_source_is_no_better_than_chance(published):
    kept = [index for index, name in enumerate(published.sources) if name != 'imagenet']
    fewer = AccuracyTable(
        published.targets, tuple(published.sources[index] for index in kept), published.accuracy[:, kept]
    )
    size = evaluate_baseline(
        'largest', score_by_size([SIZES.get(name, 4_000) for name in fewer.sources], 28), fewer
    )
    assert size.chance == pytest.approx(1 / 6, abs=0.01)
    assert size.top1 == pytest.approx(0.143, abs=0.001)


def test_the_static_baseline_gives_ties_half_a_rank_and_puts_strangers_last():
    known = table([[0.9, 0.9, 0.5, np.nan], [0.4, 0.6, 0.5, 0.7]])
    assert score_by_other_targets(known)[1].tolist() == [-0.25, -0.25, -1, -1]


def test_chance_is_among_the_sources_that_were_run():
    found = evaluate_baseline('first', np.zeros((2, 3)), table([[np.nan, 0.8, 0.5], [0.4, 0.6, 0.5]]))
    assert found.chance == pytest.approx((1 / 2 + 1 / 3) / 2)


def test_a_seed_without_scores_says_nothing_of_a_baseline():
    scores = np.array([[[1.0, 3, 2], [np.nan] * 3], [[1, 3, 2], [1, 3, 2]]])
    assert evaluate_baseline('half', scores, table(HAND, seeds=2)).by_target == pytest.approx((0.1, 0.0))


def test_in_the_order_a_source_without_a_score_stands_last():
    rows = [[0.9, 0.8, 0.5], [0.8, 0.7, 0.1]]
    found = evaluate_baseline('some', np.array([[np.nan, 2, 1], [np.nan, 2, 1]]), table(rows))
    wanted = weightedtau([0, 2, 1], [2, 1, 0]).statistic
    assert wanted < 0.5
    assert found.tau == pytest.approx(wanted)


def test_the_interval_holds_95_of_100_resamples():
    rows = [[0.5 + 0.01 * index, 0.9] for index in range(20)]
    found = evaluate_baseline('first', np.tile([1.0, 0.0], (20, 1)), table(rows)).regret
    error = np.std(0.01 * np.arange(20)) / np.sqrt(20)
    assert (found.high - found.low) / error == pytest.approx(2 * 1.96, rel=0.1)
