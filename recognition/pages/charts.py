"""The geometry of the report's plots: numbers in, shapes for SVG templates out. No markup here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

HEATS = 5  # shades of the confusion matrix
SIDE = 240.0  # user units of the square plots


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
        found.append(Phase(name, spent, round(100 * start / total, 2), round(max(100 * spent / total, 0.5), 2)))
        start += spent
    return tuple(found)
