"""The accuracy to be expected of a finetuning, before it: learned from recorded outcomes, with a 90 % interval.

A ridge regression on the scale of log odds, logit(accuracy) = a + b logit(probe) + c score, where `probe` is the
cross-validated accuracy of a linear head and `score` the P2L score. The interval is conformal over targets: each target is
predicted from the others, its errors are divided by their expected size (a part that all targets share, and the counting
noise of the photos), and on either side all but a twentieth of those of the target that errs most there lie inside (with
thirty-nine targets or more: of all but a twentieth of the targets). The sides are taken apart, for finetuning may gain more
than it loses. A source counts by how often it would be chosen: how far finetuning lifts a poor one says little of those
that are asked about.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from p2l.signatures import Floats

if TYPE_CHECKING:
    from sklearn.linear_model import Ridge

LEVEL = 0.9
SIDE = (1 + LEVEL) / 2  # of the errors on one side
PENALTY = 1.0
LEAST_TARGETS = 4  # with three, each interval would rest on two
SMALLEST_SPREAD = 0.1  # of log odds: no record of a few targets shows that finetuning can be foretold better


@dataclass(frozen=True)
class Outcomes:
    """Recorded finetunings, one a row: everything (k,)."""

    target: NDArray[np.int64]
    probe: Floats  # accuracy of the linear head, out-of-fold, 0 to 1
    images: Floats  # that it was measured on
    score: Floats  # of P2L
    accuracy: Floats  # of the finetuned network, on held-out images
    held: Floats  # how many of those
    seed: NDArray[np.int64]
    source: NDArray[np.int64]
    weight: (
        Floats  # how often a choice takes that source: not below 0, and above it somewhere on every target
    )


@dataclass(frozen=True)
class Expected:
    """An accuracy that a finetuning is expected to be measured at, with its 90 % interval."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecaster:
    """What was learned from the record: plain numbers, to be kept as JSON."""

    intercept: float
    probe: float  # per unit of logit(probe)
    score: float  # per unit of the P2L score
    spread: float  # log odds: deviation beyond counting noise
    below: float  # in expected deviations: how far the interval reaches under the middle
    above: float  # and over it
    targets: int  # that it was learned from
    rows: int

    @staticmethod
    def of(values: Mapping[str, float]) -> Forecaster:
        """What `to_json` gave, here or in a file that was written when the sides were equal (`tail`)."""
        known: dict[str, Any] = dict(values)
        if (tail := known.pop('tail', None)) is not None:
            known |= {'below': tail, 'above': tail}
        counts = {name: int(known.pop(name)) for name in ('targets', 'rows')}
        return Forecaster(**known, **counts)

    def to_json(self) -> dict[str, float]:
        return asdict(self)

    def expect(self, probe: float, images: float, score: float, held: float | None = None) -> Expected:
        """The accuracy to be measured on `held` images (default: as many as the probe was measured on)."""
        middle = self.intercept + self.probe * float(log_odds(probe, images)) + self.score * score
        counted = images if held is None else held
        unit = float(_expected_deviation(np.array(middle), np.array(images), np.array(counted), self.spread))
        odds = np.array([middle, middle - self.below * unit, middle + self.above * unit])
        return Expected(*(float(value) for value in share(odds)))


def learn(outcomes: Outcomes) -> Forecaster:
    """ValueError when the record has fewer than LEAST_TARGETS targets."""
    targets = np.unique(outcomes.target)
    if len(targets) < LEAST_TARGETS:
        raise ValueError(f'{len(targets)} targets are recorded; an expectation needs {LEAST_TARGETS}.')
    residuals = np.full(len(outcomes.target), np.nan)
    predicted = np.full(len(outcomes.target), np.nan)
    for target in targets:
        apart = outcomes.target == target
        model = _regress(chosen_rows(outcomes, ~apart))
        predicted[apart] = model.predict(_features(outcomes)[apart])
        residuals[apart] = _truth(outcomes)[apart] - predicted[apart]
    noise = _expected_deviation(predicted, outcomes.images, outcomes.held, 0.0) ** 2
    beyond = float(np.average(residuals**2 - noise, weights=outcomes.weight))
    spread = max(SMALLEST_SPREAD, float(np.sqrt(max(0.0, beyond))))
    relative = residuals / _expected_deviation(predicted, outcomes.images, outcomes.held, spread)
    model = _regress(outcomes)
    return Forecaster(
        intercept=float(model.intercept_),
        probe=float(model.coef_[0]),
        score=float(model.coef_[1]),
        spread=spread,
        below=_reach(-relative, outcomes),
        above=_reach(relative, outcomes),
        targets=len(targets),
        rows=len(outcomes.target),
    )


def _reach(errors: Floats, outcomes: Outcomes) -> float:
    """How far the interval goes to the side on which these errors are positive; not back over its middle."""
    parts = [outcomes.target == target for target in np.unique(outcomes.target)]
    worst = np.sort([_quantile(errors[part], outcomes.weight[part]) for part in parts])
    place = min(len(worst), int(np.ceil(SIDE * (len(worst) + 1)))) - 1
    return max(0.0, float(worst[place]))


def held_out_hits(outcomes: Outcomes) -> tuple[NDArray[np.bool_], Floats]:
    """For every row, whether the interval learned without its target covers its accuracy, and how wide it is: (k,) each."""
    hits, widths = np.zeros(len(outcomes.target), dtype=bool), np.zeros(len(outcomes.target))
    for target in np.unique(outcomes.target):
        forecaster = learn(chosen_rows(outcomes, outcomes.target != target))
        for row in np.flatnonzero(outcomes.target == target):
            said = forecaster.expect(
                float(outcomes.probe[row]),
                float(outcomes.images[row]),
                float(outcomes.score[row]),
                float(outcomes.held[row]),
            )
            hits[row] = said.low <= outcomes.accuracy[row] <= said.high
            widths[row] = said.high - said.low
    return hits, widths


def log_odds(accuracy: ArrayLike, images: ArrayLike) -> Floats:
    """logit of an accuracy measured on so many images; half an image is added to right and wrong, so that 1 stays finite."""
    count = np.asarray(images, dtype=np.float64)
    right = np.asarray(accuracy, dtype=np.float64) * count
    return np.asarray(np.log((right + 0.5) / (count - right + 0.5)))


def share(odds: Floats) -> Floats:
    """Log odds to 0..1."""
    return np.asarray(1 / (1 + np.exp(-odds)))


def _expected_deviation(odds: Floats, images: Floats, held: Floats, spread: float) -> Floats:
    """Of log odds: what targets differ by beyond the probe, and the counting noise 1 / (n p q) of probe and judgement."""
    chance = share(odds) * (1 - share(odds))
    return np.asarray(
        np.sqrt(spread**2 + 1 / np.maximum(images * chance, 0.5) + 1 / np.maximum(held * chance, 0.5))
    )


def _quantile(values: Floats, weight: Floats) -> float:
    """The least value with SIDE of all weight at or below it."""
    order = np.argsort(values)
    through = np.cumsum(weight[order])
    return float(values[order[np.searchsorted(through, SIDE * through[-1])]])


def _features(outcomes: Outcomes) -> Floats:
    return np.stack([log_odds(outcomes.probe, outcomes.images), outcomes.score], 1)


def _truth(outcomes: Outcomes) -> Floats:
    return log_odds(outcomes.accuracy, outcomes.held)


def _regress(outcomes: Outcomes) -> Ridge:
    from sklearn.linear_model import Ridge  # costs seconds and 60 MB, which only who learns should pay

    weight = outcomes.weight / outcomes.weight.mean()
    return Ridge(alpha=PENALTY).fit(_features(outcomes), _truth(outcomes), sample_weight=weight)


def chosen_rows(outcomes: Outcomes, mask: NDArray[np.bool_]) -> Outcomes:
    return Outcomes(**{field.name: getattr(outcomes, field.name)[mask] for field in fields(Outcomes)})
