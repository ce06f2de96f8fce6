"""What may be expected before finetuning: the accuracy that recorded outcomes foretell, and what more photos would add."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from p2l.forecast import ExpectedAccuracy, Forecaster
from p2l.learning_curve import CurvePoint, ExpectedGain, forecast_gain
from transfer.data.splits import TINY, assign_folds
from transfer.features.linear_probe import fit_probe
from transfer.features.metrics import accuracy, wilson_interval
from transfer.selection.choose import SourceChoice
from transfer.selection.context import ProbedSource, TrainingContext

MORE = 100  # photos that the forecast speaks of; fewer where that would be more than as many again
PARTS = (
    4,
    2,
)  # a quarter and a half of the photos: each photo is in one of the parts, so none is left out of the curve
LEAST_OF_A_CLASS = 2  # in a part: one to learn from, one to judge
CURVE_UP_TO = 2_000  # photos: beyond, a curve costs half a minute, and more photos are hardly the question


def forecast_accuracy(shop: TrainingContext, chosen: SourceChoice) -> dict[str, Any]:
    """The forecast of a training from its chosen source, as plain JSON with a sentence for the user.

    `expected` is null where nothing is recorded to learn from, `gain` where the photos are too few to be cut into parts.
    """
    learned = chosen.learned
    with shop.course.phase('probe', 'Seeing what more photos would add'):
        points = measure_learning_curve(learned, shop.labels, shop.classes, shop.spec.folds, shop.spec.seed)
    said = _expected(shop, chosen)
    more = forecast_gain(points, MORE)
    sentence = describe_forecast(said, more)
    shop.course.expect(sentence)
    return {
        'expected': None
        if said is None
        else dataclasses.asdict(said) | {'level': 0.9, 'targets': shop.spec.forecaster['targets']},
        'points': [dataclasses.asdict(point) | {'interval': _interval(point)} for point in points],
        'gain': None if more is None else dataclasses.asdict(more),
        'sentence': sentence,
    }


def measure_learning_curve(
    learned: ProbedSource, labels: np.ndarray, classes: int, folds: int, seed: int
) -> list[CurvePoint]:
    """The accuracy of linear heads that learn from a quarter, a half and all of the photos, cross-validated each time."""
    points = []
    for parts in PARTS:
        rows = list(_parts(learned, labels, classes, parts, seed)) if len(labels) <= CURVE_UP_TO else []
        if rows:
            right = sum(_right(learned, labels, classes, part, folds, seed) for part in rows)
            points.append(CurvePoint(round(len(labels) / parts), right / len(labels), len(labels)))
    return [*points, CurvePoint(len(labels), accuracy(learned.probe.logits, labels), len(labels))]


def _parts(
    learned: ProbedSource, labels: np.ndarray, classes: int, parts: int, seed: int
) -> Iterator[np.ndarray]:
    """Rows of each part; nothing where a part would be tiny or hold a class that cannot be both learned and judged."""
    part_of = assign_folds(labels, list(learned.pixels.digests), parts, seed + 1)
    groups = [np.flatnonzero(part_of == part) for part in range(parts)]
    counts = [np.bincount(labels[rows], minlength=classes).min() for rows in groups]
    if len(labels) / parts > TINY and min(counts) >= LEAST_OF_A_CLASS:
        yield from groups


def _right(
    learned: ProbedSource, labels: np.ndarray, classes: int, rows: np.ndarray, folds: int, seed: int
) -> int:
    own = labels[rows]
    held = assign_folds(own, [learned.pixels.digests[row] for row in rows], folds, seed)
    return int((fit_probe(learned.features[rows], own, classes, held).logits.argmax(1) == own).sum())


def _interval(point: CurvePoint) -> tuple[float, float]:
    return wilson_interval(round(point.accuracy * point.test_images), point.test_images)


def _expected(shop: TrainingContext, chosen: SourceChoice) -> ExpectedAccuracy | None:
    if not shop.spec.forecaster:
        return None
    score = next((row['score'] for row in chosen.ranking if row['name'] == chosen.source.name), 0.0)
    probe = accuracy(chosen.learned.probe.logits, shop.labels)
    # Probe and finetuned network are judged on the same photos: their counting noise is largely shared, and counts once.
    return Forecaster.from_json(shop.spec.forecaster).predict(
        probe, len(shop.labels), score, test_images=math.inf
    )


def describe_forecast(expected: ExpectedAccuracy | None, more: ExpectedGain | None) -> str:
    """The forecast in a sentence; '' where nothing can be said."""
    parts = []
    if expected is not None:
        parts.append(f'Expected accuracy {expected.low:.2f} to {expected.high:.2f}')
    if more is not None:
        parts.append(
            f'collecting {more.images} more photos would add about {more.middle:.2f} ({more.low:.2f} to {more.high:.2f})'
        )
    sentence = '; '.join(parts)
    return f'{sentence[:1].upper()}{sentence[1:]}.' if sentence else ''
