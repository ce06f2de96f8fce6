"""How well a rule picks source models: regret, top-1 rate, rank correlation and cost, on a table of measured accuracies.

A rule is judged by its scores for every (target, seed, source); what it picks is the highest score, and ties are broken at
random many times over, so that no rule gains by the order in which sources happen to be listed. A missing pair (a source that
is the target itself, a cell not yet run) is NaN in the table and never picked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from p2l.signatures import Floats

BOOTSTRAPS = 2000
TIE_BREAKS = 200
TOP = 3
NOISE = 1.0  # standard errors of a difference within which two sources are equal


@dataclass(frozen=True)
class Table:
    """Measured accuracies, 0 to 1 (or in points), of every source finetuned on every target."""

    targets: tuple[str, ...]
    sources: tuple[str, ...]
    accuracy: Floats  # (targets, sources, seeds); NaN where a pair was not run
    paired: Floats | None = (
        None  # (targets, sources): error of the difference to the best one, from the same held-out images
    )

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
        return np.asarray(~np.isnan(self.accuracy).all(2))


@dataclass(frozen=True)
class Figure:
    """A mean over targets with its 95 % bootstrap interval over targets."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class Judgement:
    """What a rule is worth on a table."""

    name: str
    regret: Figure  # best accuracy - accuracy of the pick
    relative: Figure  # accuracy of the pick / best accuracy
    top1: float  # share of targets whose pick is the best source, or within seed noise of it
    chance: float  # the same for a pick at random
    top3_regret: float  # when the first three are finetuned and the best is kept
    tau: float  # weighted Kendall tau of scores and accuracies, mean over targets; 0 for a rule without an order
    by_target: tuple[float, ...]  # regret of each target
    seconds: float | None = None  # mean cost of the choice for one target
    share: float | None = None  # of the cost of finetuning every source


def seed_noise(table: Table) -> Floats:
    """(targets,): the standard error of the difference of two sources' mean accuracies; 0 where there is one seed only.

    The seeds redraw the split as well, for all sources alike, so the residuals of a two-way table (source + seed) are what
    counts: their variance s2 has (S - 1)(R - 1) degrees of freedom, and the error of a difference is sqrt(2 s2 / R).
    """
    return np.array([_noise_of_means(rows[~np.isnan(rows).all(1)]) for rows in table.accuracy])


def _noise(table: Table) -> Floats:
    """(targets, sources) or (targets, 1): the seeds' noise; with one seed, what the held-out images tell."""
    seeds = seed_noise(table)[:, None]
    return seeds if table.paired is None else np.where(seeds > 0, seeds, table.paired)


def _noise_of_means(rows: Floats) -> float:
    """Of one target, (sources, seeds): from as many seeds as at least half of its sources were run with."""
    for seeds in range(rows.shape[1], 1, -1):
        whole = rows[:, :seeds][~np.isnan(rows[:, :seeds]).any(1)]
        if len(whole) >= max(2, len(rows) / 2):
            residuals = whole - whole.mean(1, keepdims=True) - whole.mean(0, keepdims=True) + whole.mean()
            variance = (residuals**2).sum() / ((len(whole) - 1) * (seeds - 1))
            return float(np.sqrt(2 * variance / seeds))
    return 0.0


def judge(name: str, scores: Floats, table: Table, seed: int = 0) -> Judgement:
    """What is lost by following `scores`, (targets, seeds, sources) or (targets, sources), higher better; NaN: never picked.

    Each seed's scores are judged by the accuracies averaged over all seeds. ValueError where no source has a score.
    """
    given = scores[:, None] if scores.ndim == 2 else scores
    usable = np.where(table.known[:, None], given, np.nan)
    scored = np.asarray(~np.isnan(usable).all(2))  # (t, r): a seed without scores says nothing of the rule
    if not scored.any(1).all():
        raise ValueError(f'{name} scores no source of one of the targets')
    picks, tops = _picks(usable, seed)
    mean = np.where(table.known, table.mean, -np.inf)
    best = mean.max(1)
    lost = best[:, None] - mean
    hits = lost <= NOISE * _noise(table) + 1e-12
    regrets = _expected(picks, lost, scored)
    return Judgement(
        name=name,
        regret=_figure(regrets, seed),
        relative=_figure(1 - regrets / best, seed),
        top1=float(_expected(picks, hits.astype(float), scored).mean()),
        chance=float((hits.sum(1) / table.known.sum(1)).mean()),
        top3_regret=float(_least_of(tops, lost, scored).mean()),
        tau=float(
            np.mean([_tau(usable[index, scored[index]], table.mean[index]) for index in range(len(best))])
        ),
        by_target=tuple(float(regret) for regret in regrets),
    )


def difference(a: Judgement, b: Judgement, seed: int = 0) -> Figure:
    """Mean regret of `b` less that of `a` on the same targets, with a paired bootstrap: above 0 where `a` picks better."""
    return _figure(np.array(b.by_target) - np.array(a.by_target), seed)


def largest(images: Sequence[int], targets: int) -> Floats:
    """The rule that takes the source with the largest data set."""
    return np.tile(np.asarray(images, dtype=np.float64), (targets, 1))


def static(table: Table) -> Floats:
    """The rule that always takes the source that is best on average elsewhere: minus the mean rank over the other targets."""
    mean = table.mean
    ranks = np.full(mean.shape, np.nan)
    for index, row in enumerate(mean):
        seen = ~np.isnan(row)
        # a share of the sources ahead of it, so that targets with fewer sources count alike
        ahead = (row[seen][None] > row[seen][:, None]).sum(1) + 0.5 * (
            (row[seen][None] == row[seen][:, None]).sum(1) - 1
        )
        ranks[index, seen] = ahead / max(1, seen.sum() - 1)
    scores = np.full(mean.shape, np.nan)
    for index in range(len(mean)):
        others = np.delete(ranks, index, axis=0)
        seen = ~np.isnan(others)
        total = np.where(seen, others, 0.0).sum(0)
        scores[index] = np.where(
            seen.any(0), -total / np.maximum(seen.sum(0), 1), -1.0
        )  # seen nowhere else: last
    return scores


def costs(judgement: Judgement, seconds: Floats, exhaustive: Floats) -> Judgement:
    """With what the choice cost: seconds and seconds of finetuning everything, (targets,) each."""
    values = dict(judgement.__dict__)
    values |= {'seconds': float(np.mean(seconds)), 'share': float(np.sum(seconds) / np.sum(exhaustive))}
    return Judgement(**values)


def by_name(judgements: Sequence[Judgement]) -> Mapping[str, Judgement]:
    return {item.name: item for item in judgements}


def _picks(scores: Floats, seed: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and first TOP sources of (targets, seeds, sources) for many tie-breaks: (draws, t, r) and (draws, t, r, TOP)."""
    chance = np.random.default_rng(seed).random((TIE_BREAKS, *scores.shape))
    known = np.where(np.isnan(scores), -np.inf, scores)
    order = np.lexsort((chance, np.broadcast_to(-known, chance.shape)), axis=-1)
    order = np.where(
        np.take_along_axis(np.broadcast_to(known, chance.shape), order, -1) == -np.inf, order[..., :1], order
    )
    return order[..., 0], order[..., :TOP]


def _expected(picks: NDArray[np.int64], values: Floats, scored: NDArray[np.bool_]) -> Floats:
    """The mean of values (t, s) over the picks (draws, t, r) of the seeds that were scored: (t,)."""
    found = values[np.arange(len(values))[None, :, None], picks].mean(0)
    return np.asarray(np.where(scored, found, 0.0).sum(1) / scored.sum(1))


def _least_of(tops: NDArray[np.int64], lost: Floats, scored: NDArray[np.bool_]) -> Floats:
    found = lost[np.arange(len(lost))[None, :, None, None], tops].min(-1).mean(0)
    return np.asarray(np.where(scored, found, 0.0).sum(1) / scored.sum(1))


def _tau(scores: Floats, accuracy: Floats) -> float:
    """Weighted Kendall tau (Vigna 2015), mean over the seeds' scores (r, s); what has no score stands last."""
    from scipy.stats import weightedtau  # takes a second to load, which `zoo list` should not pay

    known = ~np.isnan(accuracy)
    values = []
    for row in scores:
        seen = np.where(np.isnan(row), np.nanmin(row) - 1, row)[known]
        value = weightedtau(seen, accuracy[known]).statistic if len(np.unique(seen)) > 1 else 0.0
        values.append(0.0 if np.isnan(value) else float(value))
    return float(np.mean(values))


def _figure(values: Floats, seed: int) -> Figure:
    draws = np.random.default_rng(seed).integers(0, len(values), (BOOTSTRAPS, len(values)))
    means = values[draws].mean(1)
    low, high = np.percentile(means, (2.5, 97.5))
    return Figure(float(values.mean()), float(low), float(high))
