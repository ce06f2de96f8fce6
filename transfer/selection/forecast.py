"""Forecast before finetuning: the accuracy to expect by recorded outcomes, and what more photos would add."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence

import numpy as np

from p2l.forecast import ExpectedAccuracy, Forecaster
from p2l.learning_curve import CurvePoint, ExpectedGain, forecast_gain
from transfer.data.splits import TINY, assign_folds
from transfer.features.linear_probe import fit_probe
from transfer.features.metrics import accuracy, wilson_interval
from transfer.selection.choose import SourceChoice
from transfer.selection.context import ProbedSource, TrainingContext
from transfer.spec.report import AccuracyForecast, ForecastInterval, GainInterval, LearningCurvePoint

MORE_IMAGES = 100  # that the forecast speaks of; fewer where that would be more than as many again
# The learning curve is measured on quarters and halves of the images: each image is in one of the parts, so
# none is left out.
PARTS = (4, 2)
LEAST_PER_CLASS = 2  # groups of images in a part: one to train on, one to validate on
CURVE_UP_TO = 2_000  # images: beyond, a curve costs half a minute, and more photos are hardly the question
LEVEL = 0.9  # of the interval of the expected accuracy


def forecast_accuracy(context: TrainingContext, choice: SourceChoice) -> AccuracyForecast:
    """Forecast the accuracy of finetuning the chosen source, and show the sentence with the progress from now
    on.
    """
    with context.tracker.phase('probe', 'Estimating what more photos would add'):
        groups = context.group_images(choice.probed.pixels)
        points = measure_learning_curve(
            choice.probed, context.labels, context.classes, groups, context.spec.folds, context.spec.seed
        )
    expected = _expect_accuracy(context, choice)
    more = forecast_gain(points, MORE_IMAGES)
    sentence = describe_forecast(expected, more)
    context.tracker.set_forecast(sentence)
    return AccuracyForecast(
        expected=None
        if expected is None
        else ForecastInterval(
            **dataclasses.asdict(expected), level=LEVEL, targets=int(context.spec.forecaster['targets'])
        ),
        points=tuple(
            LearningCurvePoint(**dataclasses.asdict(point), interval=_interval(point)) for point in points
        ),
        gain=None if more is None else GainInterval(**dataclasses.asdict(more)),
        sentence=sentence,
    )


def measure_learning_curve(
    probed: ProbedSource, labels: np.ndarray, classes: int, groups: Sequence[str], folds: int, seed: int
) -> list[CurvePoint]:
    """The cross-validated accuracy of linear heads trained on a quarter, a half and all of the images.

    `groups`: of each image; those of one are in one part and in one fold.
    """
    points = []
    for parts in PARTS:
        rows = (
            list(_split_into_parts(labels, classes, groups, parts, seed))
            if len(labels) <= CURVE_UP_TO
            else []
        )
        if rows:
            right = sum(_count_right(probed, labels, classes, groups, part, folds, seed) for part in rows)
            points.append(CurvePoint(round(len(labels) / parts), right / len(labels), len(labels)))
    return [*points, CurvePoint(len(labels), accuracy(probed.probe.logits, labels), len(labels))]


def _split_into_parts(
    labels: np.ndarray, classes: int, groups: Sequence[str], parts: int, seed: int
) -> Iterator[np.ndarray]:
    """Rows of each part; nothing where a part is tiny or has a class of too few groups to be
    cross-validated."""
    part_of = assign_folds(labels, groups, parts, seed + 1, tiny=0)
    chosen = [np.flatnonzero(part_of == part) for part in range(parts)]
    counts = np.zeros((parts, classes), int)
    for part, label, _ in set(zip(part_of.tolist(), labels.tolist(), groups, strict=True)):
        counts[part, label] += 1
    if len(labels) / parts > TINY and counts.min() >= LEAST_PER_CLASS:
        yield from chosen


def _count_right(
    probed: ProbedSource,
    labels: np.ndarray,
    classes: int,
    groups: Sequence[str],
    rows: np.ndarray,
    folds: int,
    seed: int,
) -> int:
    """How many images of a part its own cross-validation predicts rightly."""
    own = labels[rows]
    fold_of = assign_folds(own, [groups[row] for row in rows], folds, seed)
    return int((fit_probe(probed.features[rows], own, classes, fold_of).logits.argmax(1) == own).sum())


def _interval(point: CurvePoint) -> tuple[float, float]:
    return wilson_interval(round(point.accuracy * point.test_images), point.test_images)


def _expect_accuracy(context: TrainingContext, choice: SourceChoice) -> ExpectedAccuracy | None:
    if not context.spec.forecaster:
        return None
    score = next((row.score for row in choice.ranking if row.name == choice.source.name), 0.0)
    probe = accuracy(choice.probed.probe.logits, context.labels)
    # Probe and finetuned network are evaluated on the same images: their counting noise is largely shared,
    # and counts once.
    return Forecaster.from_json(context.spec.forecaster).predict(
        probe, len(context.labels), score, test_images=math.inf
    )


def describe_forecast(expected: ExpectedAccuracy | None, more: ExpectedGain | None) -> str:
    """The forecast in a sentence; '' where nothing is known."""
    parts = []
    if expected is not None:
        parts.append(f'Expected accuracy {expected.low:.2f} to {expected.high:.2f}')
    if more is not None:
        parts.append(
            f'collecting {more.images} more photos would add about {more.middle:.2f} '
            f'({more.low:.2f} to {more.high:.2f})'
        )
    sentence = '; '.join(parts)
    return f'{sentence[:1].upper()}{sentence[1:]}.' if sentence else ''
