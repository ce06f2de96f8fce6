from __future__ import annotations

import numpy as np
import pytest

from p2l.benchmark.fit_weights import best_weights, fit_size_weight, held_out_scores
from p2l.benchmark.metrics import AccuracyTable
from p2l.scores import WEIGHTS

SIZE = np.array([1.0, 0.0, -1.0])


def world(best_is_near, targets=6):
    """On every target another source is near; the near one is the best, or the large one is."""
    similarity = np.array([np.roll([1.0, 0.2, -1.2], index) for index in range(targets)])[:, None]
    truth = similarity[:, 0] if best_is_near else np.tile(SIZE, (targets, 1))
    names = tuple(f't{index}' for index in range(targets))
    return (
        similarity,
        SIZE,
        AccuracyTable(names, ('large', 'middle', 'small'), (0.6 + 0.1 * truth)[:, :, None]),
    )


def test_where_likeness_alone_decides_the_size_loses_its_weight():
    similarity, size, table = world(best_is_near=True)
    found = fit_size_weight(similarity, size, table, used=(1.5, 3.0))
    assert found.better
    assert found.after.regret.mean == pytest.approx(0)
    assert found.weights[1] <= 1.0
    assert found.before.regret.mean > 0


def test_where_size_alone_decides_it_gains_weight():
    similarity, size, table = world(best_is_near=False)
    found = fit_size_weight(similarity, size, table)
    assert found.better
    assert found.weights[1] > WEIGHTS[1]


def test_what_is_no_better_changes_nothing():
    similarity, size, table = world(best_is_near=True)
    found = fit_size_weight(similarity, size, table, used=(1.5, 0.25))
    assert not found.better
    assert found.weights == (1.5, 0.25)


def test_two_targets_are_too_few_to_change_anything():
    similarity, size, table = world(best_is_near=False, targets=2)
    found = fit_size_weight(similarity, size, table)
    assert not found.better
    assert found.weights == WEIGHTS
    similarity, size, table = world(best_is_near=True, targets=2)
    assert fit_size_weight(similarity, size, table, used=(1.5, 6.0)).weights == (1.5, 6.0)


def test_a_target_is_judged_with_weights_that_it_had_no_part_in():
    similarity, size, table = world(best_is_near=True)
    accuracy = table.accuracy.copy()
    accuracy[1, :, 0] = [1.0, 0.0, 0.0]  # only the large source is good there, which the nearer one hides
    odd = AccuracyTable(table.targets, table.sources, accuracy)
    assert best_weights(similarity, size, odd) != best_weights(similarity, size, table)
    np.testing.assert_allclose(
        held_out_scores(similarity, size, odd)[1], held_out_scores(similarity, size, table)[1]
    )


def test_of_equal_weights_the_nearest_to_the_start_is_taken():
    similarity = np.zeros((3, 1, 3))
    table = AccuracyTable(('a', 'b', 'c'), ('x', 'y', 'z'), np.full((3, 3, 1), 0.5))
    assert best_weights(similarity, SIZE, table) == WEIGHTS
