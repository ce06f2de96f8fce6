"""Geometry of the report's charts: numbers in, shapes for the SVG templates out. No markup here.

Units are SVG user units; y points down. Shares are 0 to 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

# Shades of the confusion matrix.
HEAT_LEVELS = 5
# Side of the square charts.
SIDE = 240.0
# Of the forecast chart.
WIDTH, HEIGHT = 320.0, 160.0


@dataclass(frozen=True)
class MatrixCell:
    count: int
    heat: int  # 0 (no image) to HEAT_LEVELS
    is_correct: bool  # on the diagonal
    label: str
    prediction: str


@dataclass(frozen=True)
class MatrixRow:
    label: str
    cells: tuple[MatrixCell, ...]


def lay_out_confusion_matrix(
    labels: Sequence[str], confusion: Sequence[Sequence[int]]
) -> tuple[MatrixRow, ...]:
    """Rows are the ground truth.

    A cell's heat is its share of the row, so that a small class shows its errors too.
    """
    rows = []
    for i, (label, counts) in enumerate(zip(labels, confusion, strict=False)):
        total = sum(counts) or 1
        cells = tuple(
            MatrixCell(count, _heat_level(count / total), i == j, label, prediction)
            for j, (prediction, count) in enumerate(zip(labels, counts, strict=False))
        )
        rows.append(MatrixRow(label, cells))
    return tuple(rows)


def _heat_level(share: float) -> int:
    return 0 if share <= 0 else min(HEAT_LEVELS, 1 + int(share * HEAT_LEVELS))


@dataclass(frozen=True)
class ForecastPoint:
    """Accuracy reached with a number of images; `top` and `bottom` are the ends of its interval."""

    x: float
    y: float
    top: float
    bottom: float
    images: int
    accuracy: float


@dataclass(frozen=True)
class ForecastChart:
    """The learning curve and the range that more images may reach."""

    points: tuple[ForecastPoint, ...]
    line: str  # points of a polyline
    band: str  # points of a polygon; '' when there is no forecast for more images
    end: ForecastPoint | None  # of the band
    lowest: float  # accuracy at the bottom of the chart


def lay_out_forecast(forecast: Mapping[str, Any]) -> ForecastChart | None:
    """The part `forecast` of a model's report as shapes; None when there are fewer than two points to
    draw."""
    points, gain = forecast.get('points', []), forecast.get('gain')
    if len(points) < 2:
        return None
    most_images = points[-1]['images'] + (gain['images'] if gain else 0)
    lowest = max(0.0, int(10 * min(point['interval'][0] for point in points)) / 10)

    def x(images: float) -> float:
        return round(WIDTH * images / most_images, 2)

    def y(accuracy: float) -> float:
        return round(HEIGHT * (1 - (min(accuracy, 1.0) - lowest) / (1 - lowest)), 2)

    shapes = tuple(
        ForecastPoint(
            x(point['images']), y(point['accuracy']), y(high), y(low), point['images'], point['accuracy']
        )
        for point in points
        for low, high in [point['interval']]
    )
    line = ' '.join(f'{point.x},{point.y}' for point in shapes)
    if not gain:
        return ForecastChart(shapes, line, '', None, lowest)
    last, accuracy = shapes[-1], points[-1]['accuracy']
    low, middle, high = (y(accuracy + gain[name]) for name in ('low', 'middle', 'high'))
    end = ForecastPoint(x(most_images), middle, high, low, most_images, min(1.0, accuracy + gain['middle']))
    return ForecastChart(shapes, line, f'{last.x},{last.y} {end.x},{high} {end.x},{low}', end, lowest)


@dataclass(frozen=True)
class ReliabilityBar:
    x: float
    y: float
    width: float
    height: float
    right: float
    confidence: float
    accuracy: float
    count: int


def lay_out_reliability(calibration: Mapping[str, Any]) -> tuple[ReliabilityBar, ...]:
    """Bars of the reliability diagram: accuracy over confidence. Empty bins are left out."""
    bins = [entry for entry in calibration.get('bins', []) if entry.get('count') or entry.get('n')]
    bars = []
    for entry in bins:
        low, high = float(entry.get('low', 0)), float(entry.get('high', 1))
        accuracy = float(entry['accuracy'])
        bars.append(
            ReliabilityBar(
                x=round(low * SIDE, 2),
                y=round((1 - accuracy) * SIDE, 2),
                width=round((high - low) * SIDE, 2),
                height=round(accuracy * SIDE, 2),
                right=round(high * SIDE, 2),
                confidence=float(entry['confidence']),
                accuracy=accuracy,
                count=int(entry.get('count') or entry.get('n')),
            )
        )
    return tuple(bars)


@dataclass(frozen=True)
class PhaseBar:
    name: str
    seconds: float
    start: float  # percent of the whole
    width: float  # percent of the whole


def lay_out_phases(seconds: Mapping[str, float]) -> tuple[PhaseBar, ...]:
    """The phases of a training one after the other, as a waterfall chart."""
    total = sum(seconds.values()) or 1.0
    start, bars = 0.0, []
    for name, duration in seconds.items():
        width = round(max(100 * duration / total, 0.5), 2)
        bars.append(PhaseBar(name, duration, round(100 * start / total, 2), width))
        start += duration
    return tuple(bars)
