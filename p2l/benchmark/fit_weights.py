"""Fit the weight of size against similarity to a recorded benchmark, evaluated by leaving one target out each
time.

Only the ratio of the two weights orders sources, so the similarity weight stays 1.5 and the size weight is
searched on a grid.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from p2l.benchmark.metrics import AccuracyTable, BaselineResult, evaluate_baseline
from p2l.scores import WEIGHTS
from p2l.signatures import Floats

# Size weights; never below 0: more images do not speak against a source.
GRID = (0.0, 0.25, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 6.0)
MIN_TARGETS = 3  # with two, a fit without the one knows only the other


@dataclass(frozen=True)
class WeightFit:
    """The fitted weights, and the regret before and after."""

    weights: tuple[float, float]  # similarity : size, to be used from now on
    before: BaselineResult  # with the weights in use
    after: BaselineResult  # each target with weights fitted to the others
    better: bool  # whether the regret falls; else `weights` are those in use


def fit_size_weight(
    similarity: Floats, size: Floats, table: AccuracyTable, used: tuple[float, float] = WEIGHTS
) -> WeightFit:
    """Fit the size weight. similarity: z(-divergence) (targets, seeds, sources); size: z(log images)
    (sources,).

    Whether the fitted weights are better is decided by cross-validation: each target is evaluated with the
    weight that the other targets chose. With fewer than MIN_TARGETS nothing is changed.
    """
    before = evaluate_baseline('before', _scores(similarity, size, used), table)
    after = evaluate_baseline('after', held_out_scores(similarity, size, table), table)
    enough = len(table.targets) >= MIN_TARGETS
    better = enough and after.regret.mean < before.regret.mean - 1e-9
    return WeightFit(best_weights(similarity, size, table) if better else used, before, after, better)


def held_out_scores(similarity: Floats, size: Floats, table: AccuracyTable) -> Floats:
    """P2L scores of every target with weights fitted to the others, (targets, seeds, sources); WEIGHTS where
    too few are left."""
    scores = np.full(similarity.shape, np.nan)
    for index in range(len(table.targets)):
        others = np.delete(np.arange(len(table.targets)), index)
        weights = WEIGHTS
        if len(others) >= MIN_TARGETS - 1:
            names = tuple(table.targets[place] for place in others)
            rest = AccuracyTable(names, table.sources, table.accuracy[others])
            weights = best_weights(similarity[others], size, rest)
        scores[index] = _scores(similarity[index], size, weights)
    return scores


def best_weights(similarity: Floats, size: Floats, table: AccuracyTable) -> tuple[float, float]:
    """The weights of GRID with the least mean regret; of equal ones the nearest to WEIGHTS."""
    regrets = {
        value: evaluate_baseline('', _scores(similarity, size, (WEIGHTS[0], value)), table).regret.mean
        for value in GRID
    }
    value = min(GRID, key=lambda size_weight: (round(regrets[size_weight], 6), abs(size_weight - WEIGHTS[1])))
    return (WEIGHTS[0], value)


def _scores(similarity: Floats, size: Floats, weights: tuple[float, float]) -> Floats:
    return np.asarray(weights[0] * similarity + weights[1] * size)
