"""How well a baseline selects source models: regret, top-1 rate, rank correlation and cost, on a table of
accuracies.

A baseline is evaluated by its scores for every (target, seed, source). It picks the highest score, and ties
are broken at random many times over, so that none gains by the order in which sources happen to be listed. A
missing pair (a source that is the target itself, a cell not yet run) is NaN in the table and never picked.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from p2l.signatures import Floats

BOOTSTRAPS = 2000  # resamples of the targets behind an interval
TIE_BREAKS = 200  # random orders of equal scores
TOP = 3
NOISE = 1.0  # standard errors of a difference within which two sources are equal


@dataclass(frozen=True)
class AccuracyTable:
    """Measured accuracies, 0 to 1 (or in points), of every source finetuned on every target."""

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    accuracy: Floats  # (targets, sources, seeds); NaN where a pair was not run
    # (targets, sources): standard error of the difference to the best source, from the same held-out images.
    paired_errors: Floats | None = None

    def __post_init__(self) -> None:
        shape = (len(self.targets), len(self.sources))
        if self.accuracy.ndim != 3 or self.accuracy.shape[:2] != shape:
            raise ValueError(f'the accuracies must be {shape} by seeds, not {self.accuracy.shape}')
        if (self.known.sum(1) < 2).any():
            raise ValueError('every target needs two sources that were run on it')

    @property
    def mean(self) -> Floats:
        """(targets, sources) over the seeds that were run; NaN where none was."""
        ran = ~np.isnan(self.accuracy)
        total = np.where(ran, self.accuracy, 0.0).sum(2)
        return np.where(ran.any(2), total / np.maximum(ran.sum(2), 1), np.nan)

    @property
    def known(self) -> NDArray[np.bool_]:
        """(targets, sources): some seed was run."""
        return np.asarray(~np.isnan(self.accuracy).all(2))


@dataclass(frozen=True)
class Estimate:
    """A mean over targets with its 95 % bootstrap interval over targets."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class BaselineResult:
    """How well a baseline selects sources on a table."""

    name: str
    regret: Estimate  # best accuracy - accuracy of the pick
    relative: Estimate  # accuracy of the pick / best accuracy
    top1: float  # share of targets whose pick is the best source, or within noise of it
    chance: float  # chance level of top1: the same for a pick at random
    top3_regret: float  # when the first three are finetuned and the best is kept
    # Weighted Kendall tau of scores and accuracies, mean over targets; 0 for a baseline without an order.
    tau: float
    by_target: tuple[float, ...]  # regret of each target
    seconds: float | None = None  # mean cost of the choice for one target
    share: float | None = None  # of the cost of finetuning every source


def seed_errors(table: AccuracyTable) -> Floats:
    """(targets,): the standard error of the difference of two sources' mean accuracies; 0 where there is one
    seed only.

    The seeds redraw the split as well, for all sources alike, so the residuals of a two-way table (source +
    seed) are what counts: their variance s2 has (S - 1)(R - 1) degrees of freedom for S sources and R seeds,
    and the error of a difference is sqrt(2 s2 / R). R is the number of seeds that at least half of the
    sources were run with.
    """
    return np.array([_two_way_error(rows[~np.isnan(rows).all(1)]) for rows in table.accuracy])


def _two_way_error(rows: Floats) -> float:
    """As `seed_errors`, of one target: (sources, seeds)."""
    for seeds in range(rows.shape[1], 1, -1):
        whole = rows[:, :seeds][~np.isnan(rows[:, :seeds]).any(1)]
        if len(whole) >= max(2, len(rows) / 2):
            residuals = whole - whole.mean(1, keepdims=True) - whole.mean(0, keepdims=True) + whole.mean()
            variance = (residuals**2).sum() / ((len(whole) - 1) * (seeds - 1))
            return float(np.sqrt(2 * variance / seeds))
    return 0.0


def _difference_errors(table: AccuracyTable) -> Floats:
    """(targets, sources) or (targets, 1): by the seeds; with one seed, by what the held-out images tell."""
    errors = seed_errors(table)[:, None]
    return errors if table.paired_errors is None else np.where(errors > 0, errors, table.paired_errors)


def evaluate_baseline(name: str, scores: Floats, table: AccuracyTable, seed: int = 0) -> BaselineResult:
    """Evaluate the picks by `scores`, (targets, seeds, sources) or (targets, sources), higher better; NaN:
    never picked.

    Each seed's picks are evaluated by the accuracies averaged over all seeds. ValueError where no source has
    a score.
    """
    by_seed = scores[:, None] if scores.ndim == 2 else scores
    usable = np.where(table.known[:, None], by_seed, np.nan)
    # (t, r): a seed without scores says nothing of the baseline
    scored = np.asarray(~np.isnan(usable).all(2))
    if not scored.any(1).all():
        raise ValueError(f'{name} scores no source of one of the targets')
    picks, tops = _draw_picks(usable, seed)
    accuracy = np.where(table.known, table.mean, -np.inf)
    best = accuracy.max(1)
    lost = best[:, None] - accuracy
    hits = lost <= NOISE * _difference_errors(table) + 1e-12
    targets = np.arange(len(lost))[None, :, None]
    regrets = _mean_over_seeds(lost[targets, picks].mean(0), scored)
    top1 = _mean_over_seeds(hits[targets, picks].astype(float).mean(0), scored)
    top3_regrets = _mean_over_seeds(lost[targets[..., None], tops].min(-1).mean(0), scored)
    taus = [_weighted_tau(usable[index, scored[index]], table.mean[index]) for index in range(len(best))]
    return BaselineResult(
        name=name,
        regret=_bootstrap(regrets, seed),
        relative=_bootstrap(1 - regrets / best, seed),
        top1=float(top1.mean()),
        chance=float((hits.sum(1) / table.known.sum(1)).mean()),
        top3_regret=float(top3_regrets.mean()),
        tau=float(np.mean(taus)),
        by_target=tuple(float(regret) for regret in regrets),
    )


def compare_regrets(a: BaselineResult, b: BaselineResult, seed: int = 0) -> Estimate:
    """Mean regret of `b` less that of `a` on the same targets, with a paired bootstrap: above 0 where `a`
    picks better."""
    return _bootstrap(np.array(b.by_target) - np.array(a.by_target), seed)


def score_by_size(images: Sequence[int], targets: int) -> Floats:
    """The baseline that takes the source with the largest data set: scores (targets, sources)."""
    return np.tile(np.asarray(images, dtype=np.float64), (targets, 1))


def score_by_other_targets(table: AccuracyTable) -> Floats:
    """The static baseline, the source that is best on average on the other targets: minus its mean rank,
    (targets, sources).

    A rank is the share of the sources ahead of it, so that targets with fewer sources count alike.
    """
    ranks = np.full(table.mean.shape, np.nan)
    for index, row in enumerate(table.mean):
        known = ~np.isnan(row)
        values = row[known]
        ahead = (values[None] > values[:, None]).sum(1) + 0.5 * ((values[None] == values[:, None]).sum(1) - 1)
        ranks[index, known] = ahead / max(1, known.sum() - 1)
    scores = np.full(ranks.shape, np.nan)
    for index in range(len(ranks)):
        others = np.delete(ranks, index, axis=0)
        known = ~np.isnan(others)
        total = np.where(known, others, 0.0).sum(0)
        # A source that was run on no other target comes last.
        scores[index] = np.where(known.any(0), -total / np.maximum(known.sum(0), 1), -1.0)
    return scores


def add_cost(result: BaselineResult, seconds: Floats, exhaustive: Floats) -> BaselineResult:
    """Add what the choice cost: its seconds, and those of finetuning every source, (targets,) each."""
    share = float(np.sum(seconds) / np.sum(exhaustive))
    return replace(result, seconds=float(np.mean(seconds)), share=share)


def _draw_picks(scores: Floats, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first and the first TOP sources by (targets, seeds, sources), for many tie-breaks: (draws, t, r),
    (draws, t, r, TOP).

    Sources without a score are replaced by the first one.
    """
    tie_breaks = np.random.default_rng(seed).random((TIE_BREAKS, *scores.shape))
    known = np.where(np.isnan(scores), -np.inf, scores)
    order = np.lexsort((tie_breaks, np.broadcast_to(-known, tie_breaks.shape)), axis=-1)
    in_order = np.take_along_axis(np.broadcast_to(known, tie_breaks.shape), order, -1)
    order = np.where(in_order == -np.inf, order[..., :1], order)
    return order[..., 0], order[..., :TOP]


def _mean_over_seeds(values: Floats, scored: NDArray[np.bool_]) -> Floats:
    """(targets, seeds) to (targets,), over the seeds that were scored."""
    return np.asarray(np.where(scored, values, 0.0).sum(1) / scored.sum(1))


def _weighted_tau(scores: Floats, accuracy: Floats) -> float:
    """Weighted Kendall tau (Vigna 2015), mean over the seeds' scores (r, s); a source without a score stands
    last."""
    from scipy.stats import weightedtau  # takes a second to load, which `zoo list` should not pay

    known = ~np.isnan(accuracy)
    values = []
    for row in scores:
        complete = np.where(np.isnan(row), np.nanmin(row) - 1, row)[known]
        value = weightedtau(complete, accuracy[known]).statistic if len(np.unique(complete)) > 1 else 0.0
        values.append(0.0 if np.isnan(value) else float(value))
    return float(np.mean(values))


def _bootstrap(values: Floats, seed: int) -> Estimate:
    draws = np.random.default_rng(seed).integers(0, len(values), (BOOTSTRAPS, len(values)))
    means = values[draws].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Estimate(float(values.mean()), float(low), float(high))
