"""The weight of size against similarity, fitted on recorded outcomes; judged by leaving one target out each time.

Only the ratio of the two weights orders sources, so the similarity weight stays 1.5 and the size weight is looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from p2l.benchmark.metrics import Judgement, Table, judge
from p2l.scores import WEIGHTS
from p2l.signatures import Floats

GRID = (
    0.0,
    0.25,
    0.5,
    0.75,
    1.0,
    1.5,
    2.0,
    3.0,
    6.0,
)  # size weights; never below 0: more images do not speak against a source
LEAST_TARGETS = 3  # with two, a fit without the one knows only the other


@dataclass(frozen=True)
class Fit:
    """What fitting came to."""

    weights: tuple[float, float]  # similarity : size, to be used from now on
    before: Judgement  # with the weights in use
    after: Judgement  # each target with weights fitted on the others
    better: bool  # whether the regret falls; else `weights` are those in use


def fit(similarity: Floats, size: Floats, table: Table, used: tuple[float, float] = WEIGHTS) -> Fit:
    """Fit the size weight to a table. similarity: z(-divergence) (targets, seeds, sources); size: z(log images) (sources,).

    The regret that decides is honest: each target is judged with the weight that the other targets chose.
    With fewer than LEAST_TARGETS nothing is changed.
    """
    before = judge('before', _scores(similarity, size, used), table)
    after = judge('after', held_out_scores(similarity, size, table), table)
    enough = len(table.targets) >= LEAST_TARGETS
    better = enough and after.regret.mean < before.regret.mean - 1e-9
    return Fit(best_weights(similarity, size, table) if better else used, before, after, better)


def held_out_scores(similarity: Floats, size: Floats, table: Table) -> Floats:
    """P2L scores of every target with weights fitted on the others, (targets, seeds, sources); WEIGHTS where too few are left."""
    found = np.full(similarity.shape, np.nan)
    for index in range(len(table.targets)):
        others = np.delete(np.arange(len(table.targets)), index)
        weights = WEIGHTS
        if len(others) >= LEAST_TARGETS - 1:
            rest = Table(
                tuple(table.targets[place] for place in others), table.sources, table.accuracy[others]
            )
            weights = best_weights(similarity[others], size, rest)
        found[index] = _scores(similarity[index], size, weights)
    return found


def best_weights(similarity: Floats, size: Floats, table: Table) -> tuple[float, float]:
    """The weights of GRID with the least mean regret; of equal ones the nearest to WEIGHTS."""
    regrets = {
        value: judge('', _scores(similarity, size, (WEIGHTS[0], value)), table).regret.mean for value in GRID
    }
    value = min(GRID, key=lambda size_weight: (round(regrets[size_weight], 6), abs(size_weight - WEIGHTS[1])))
    return (WEIGHTS[0], value)


def _scores(similarity: Floats, size: Floats, weights: tuple[float, float]) -> Floats:
    return np.asarray(weights[0] * similarity + weights[1] * size)
