"""The geometry of the report's plots: numbers in, shapes for SVG templates out. No markup here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HEATS = 5  # shades of the confusion matrix
SIDE = 240.0  # user units of the square plots
WIDE, HIGH = 320.0, 160.0  # of the plot of the forecast


@dataclass(frozen=True)
class Cell:
    count: int
    heat: int  # 0 (none) to HEATS
    hit: bool  # on the diagonal
    truth: str
    said: str


@dataclass(frozen=True)
class MatrixRow:
    label: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True)
class Bin:
    """One bar of the reliability diagram. x, y, width, height in user units, y downwards; shares 0 to 1."""

    x: float
    y: float
    width: float
    height: float
    right: float
    confidence: float
    accuracy: float
    count: int


@dataclass(frozen=True)
class Phase:
    name: str
    seconds: float
    start: float  # percent of the whole
    width: float


def matrix(labels: Sequence[str], confusion: Sequence[Sequence[int]]) -> tuple[MatrixRow, ...]:
    """Rows are truths. A cell's heat is its share of its row, so that a small class shows its errors as well."""
    rows = []
    for i, (label, counts) in enumerate(zip(labels, confusion, strict=False)):
        total = sum(counts) or 1
        cells = tuple(
            Cell(count, _heat(count / total), i == j, label, said)
            for j, (said, count) in enumerate(zip(labels, counts, strict=False))
        )
        rows.append(MatrixRow(label, cells))
    return tuple(rows)


@dataclass(frozen=True)
class Mark:
    """A number of photos and the accuracy reached with them; x, y, top, bottom in user units, y downwards."""

    x: float
    y: float
    top: float
    bottom: float
    images: int
    accuracy: float


@dataclass(frozen=True)
class Forecast:
    """The learning curve and where more photos may carry it."""

    marks: tuple[Mark, ...]
    line: str  # points of a polyline
    band: str  # points of a polygon; '' where nothing can be said of more photos
    ahead: Mark | None  # the end of the band
    lowest: float  # accuracy at the foot of the plot


def forecast(values: Mapping[str, Any]) -> Forecast | None:
    """The part `forecast` of a model's report as shapes; None where there is no curve to draw."""
    points, gain = values.get('points', []), values.get('gain')
    if len(points) < 2:
        return None
    most = points[-1]['images'] + (gain['images'] if gain else 0)
    lowest = max(0.0, int(10 * min(point['interval'][0] for point in points)) / 10)

    def x(images: float) -> float:
        return round(WIDE * images / most, 2)

    def y(accuracy: float) -> float:
        return round(HIGH * (1 - (min(accuracy, 1.0) - lowest) / (1 - lowest)), 2)

    marks = tuple(
        Mark(x(point['images']), y(point['accuracy']), y(high), y(low), point['images'], point['accuracy'])
        for point in points
        for low, high in [point['interval']]
    )
    line = ' '.join(f'{mark.x},{mark.y}' for mark in marks)
    if not gain:
        return Forecast(marks, line, '', None, lowest)
    last, now = marks[-1], points[-1]['accuracy']
    low, middle, high = (y(now + gain[name]) for name in ('low', 'middle', 'high'))
    ahead = Mark(x(most), middle, high, low, most, min(1.0, now + gain['middle']))
    return Forecast(marks, line, f'{last.x},{last.y} {ahead.x},{high} {ahead.x},{low}', ahead, lowest)


def _heat(share: float) -> int:
    return 0 if share <= 0 else min(HEATS, 1 + int(share * HEATS))


def reliability(calibration: Mapping[str, Any]) -> tuple[Bin, ...]:
    """Bars of how often Graft was right, by how sure it was. Empty bins are left out."""
    bins = [entry for entry in calibration.get('bins', []) if entry.get('count') or entry.get('n')]
    shapes = []
    for entry in bins:
        low, high = float(entry.get('low', 0)), float(entry.get('high', 1))
        accuracy = float(entry['accuracy'])
        shapes.append(
            Bin(
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
    return tuple(shapes)


def phases(seconds: Mapping[str, float]) -> tuple[Phase, ...]:
    """Where the time went, as a waterfall."""
    total = sum(seconds.values()) or 1.0
    start, found = 0.0, []
    for name, spent in seconds.items():
        found.append(
            Phase(name, spent, round(100 * start / total, 2), round(max(100 * spent / total, 0.5), 2))
        )
        start += spent
    return tuple(found)
