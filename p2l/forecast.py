"""Forecast the accuracy of a finetuning before it is run: a regression on recorded finetunings, with a 90 %
interval.

A ridge regression on the scale of log odds, logit(accuracy) = a + b logit(probe) + c score, where `probe` is
the cross-validated accuracy of a linear head and `score` the P2L score. The interval is a conformal
prediction interval over targets (Vovk et al. 2005; Lei et al., JASA 2018, section 2): each target is
predicted from the others, its errors are divided by their expected deviation (a part that all targets share,
and the counting noise of the photos), and on either side all but a twentieth of those of the target with the
largest errors there lie inside (with thirty-nine targets or more: of all but a twentieth of the targets). The
two sides are taken apart, for finetuning may gain more than it loses. A source counts by how often it would
be chosen: how far finetuning lifts a poor one says little of those that a training starts from.
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

LEVEL = 0.9  # of the interval
SIDE = (1 + LEVEL) / 2  # of the errors on one side
PENALTY = 1.0  # of the ridge regression
MIN_TARGETS = 4  # with three, each interval would rest on two
MIN_SPREAD = 0.1  # of log odds: no record of a few targets shows that finetuning can be forecast better


@dataclass(frozen=True)
class FinetuningRecord:
    """Recorded finetunings, one a row: every field (k,)."""

    target: NDArray[np.int64]  # number of the target
    probe: Floats  # out-of-fold accuracy of the linear head, 0 to 1
    probe_images: Floats  # that it was measured on
    score: Floats  # of P2L
    accuracy: Floats  # of the finetuned network, on held-out images
    test_images: Floats  # how many of those
    seed: NDArray[np.int64]
    source: NDArray[np.int64]
    # How often a choice takes that source: not below 0, and above it for some source of every target.
    weight: Floats

    def select(self, rows: NDArray[np.bool_]) -> FinetuningRecord:
        """The rows where bool (k,) is true."""
        return FinetuningRecord(**{field.name: getattr(self, field.name)[rows] for field in fields(self)})


@dataclass(frozen=True)
class ExpectedAccuracy:
    """The accuracy that a finetuning is expected to reach, with its 90 % interval."""

    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class Forecaster:
    """The fitted regression and its interval: plain numbers, stored as JSON."""

    intercept: float
    probe: float  # per unit of logit(probe)
    score: float  # per unit of the P2L score
    spread: float  # log odds: deviation beyond counting noise
    below: float  # in expected deviations: how far the interval reaches under the middle
    above: float  # and over it
    targets: int  # that it was fitted to
    rows: int

    @staticmethod
    def from_json(values: Mapping[str, float]) -> Forecaster:
        """Read what `to_json` gave; a file from before the two sides were taken apart has `tail` for both."""
        known: dict[str, Any] = dict(values)
        if (tail := known.pop('tail', None)) is not None:
            known |= {'below': tail, 'above': tail}
        counts = {name: int(known.pop(name)) for name in ('targets', 'rows')}
        return Forecaster(**known, **counts)

    def to_json(self) -> dict[str, float]:
        return asdict(self)

    def predict(
        self, probe: float, probe_images: float, score: float, test_images: float | None = None
    ) -> ExpectedAccuracy:
        """Predict the accuracy on `test_images` images (default: as many as the probe was measured on)."""
        middle = self.intercept + self.probe * float(log_odds(probe, probe_images)) + self.score * score
        counted = probe_images if test_images is None else test_images
        unit = float(
            _expected_deviation(np.array(middle), np.array(probe_images), np.array(counted), self.spread)
        )
        odds = np.array([middle, middle - self.below * unit, middle + self.above * unit])
        return ExpectedAccuracy(*(float(value) for value in sigmoid(odds)))


def fit_forecaster(record: FinetuningRecord) -> Forecaster:
    """Fit regression and interval; ValueError where the record has fewer than MIN_TARGETS targets."""
    targets = np.unique(record.target)
    if len(targets) < MIN_TARGETS:
        raise ValueError(f'{len(targets)} targets are recorded; a forecast needs {MIN_TARGETS}.')
    residuals = np.full(len(record.target), np.nan)
    predicted = np.full(len(record.target), np.nan)
    for target in targets:
        held_out = record.target == target
        model = _fit_ridge(record.select(~held_out))
        predicted[held_out] = model.predict(_inputs(record)[held_out])
        residuals[held_out] = _outputs(record)[held_out] - predicted[held_out]
    noise = _expected_deviation(predicted, record.probe_images, record.test_images, 0.0) ** 2
    beyond = float(np.average(residuals**2 - noise, weights=record.weight))
    spread = max(MIN_SPREAD, float(np.sqrt(max(0.0, beyond))))
    relative = residuals / _expected_deviation(predicted, record.probe_images, record.test_images, spread)
    model = _fit_ridge(record)
    return Forecaster(
        intercept=float(model.intercept_),
        probe=float(model.coef_[0]),
        score=float(model.coef_[1]),
        spread=spread,
        below=_conformal_bound(-relative, record),
        above=_conformal_bound(relative, record),
        targets=len(targets),
        rows=len(record.target),
    )


def _conformal_bound(errors: Floats, record: FinetuningRecord) -> float:
    """How far the interval reaches to the side on which these errors (k,) are positive; 0 or more.

    Of each target the SIDE quantile of its errors; of these n numbers that of rank ceil(SIDE (n + 1)), or the
    largest. The + 1 is the new target: split conformal prediction (Lei et al. 2018, theorem 2) covers it with
    probability SIDE only so.
    """
    parts = [record.target == target for target in np.unique(record.target)]
    largest = np.sort([_weighted_quantile(errors[part], record.weight[part]) for part in parts])
    rank = min(len(largest), int(np.ceil(SIDE * (len(largest) + 1))))
    return max(0.0, float(largest[rank - 1]))


def validate_intervals(record: FinetuningRecord) -> tuple[NDArray[np.bool_], Floats]:
    """For every row, whether the interval fitted without its target covers its accuracy, and its width: (k,)
    each."""
    covered, widths = np.zeros(len(record.target), dtype=bool), np.zeros(len(record.target))
    for target in np.unique(record.target):
        forecaster = fit_forecaster(record.select(record.target != target))
        for row in np.flatnonzero(record.target == target):
            expected = forecaster.predict(
                float(record.probe[row]),
                float(record.probe_images[row]),
                float(record.score[row]),
                float(record.test_images[row]),
            )
            covered[row] = expected.low <= record.accuracy[row] <= expected.high
            widths[row] = expected.high - expected.low
    return covered, widths


def log_odds(accuracy: ArrayLike, images: ArrayLike) -> Floats:
    """The logit of an accuracy (0 to 1) measured on so many images.

    Half an image is added to the right and to the wrong ones, so that it stays finite at 0 and 1.
    """
    count = np.asarray(images, dtype=np.float64)
    right = np.asarray(accuracy, dtype=np.float64) * count
    return np.asarray(np.log((right + 0.5) / (count - right + 0.5)))


def sigmoid(odds: Floats) -> Floats:
    """Log odds to 0..1."""
    return np.asarray(1 / (1 + np.exp(-odds)))


def _expected_deviation(odds: Floats, probe_images: Floats, test_images: Floats, spread: float) -> Floats:
    """Of log odds: the spread of targets beyond the probe, and the counting noise 1 / (n p q) of probe and
    test."""
    variance = sigmoid(odds) * (1 - sigmoid(odds))
    return np.asarray(
        np.sqrt(
            spread**2
            + 1 / np.maximum(probe_images * variance, 0.5)
            + 1 / np.maximum(test_images * variance, 0.5)
        )
    )


def _weighted_quantile(values: Floats, weight: Floats) -> float:
    """The least value with SIDE of all weight at or below it."""
    order = np.argsort(values)
    cumulative = np.cumsum(weight[order])
    return float(values[order[np.searchsorted(cumulative, SIDE * cumulative[-1])]])


def _inputs(record: FinetuningRecord) -> Floats:
    return np.stack([log_odds(record.probe, record.probe_images), record.score], 1)


def _outputs(record: FinetuningRecord) -> Floats:
    return log_odds(record.accuracy, record.test_images)


def _fit_ridge(record: FinetuningRecord) -> Ridge:
    from sklearn.linear_model import Ridge  # seconds and 60 MB, which only a fit should pay

    weight = record.weight / record.weight.mean()
    return Ridge(alpha=PENALTY).fit(_inputs(record), _outputs(record), sample_weight=weight)
