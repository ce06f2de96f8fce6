"""The geometry of the plots of an evaluation: numbers in, shapes for SVG templates out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

ROW = 26.0  # user units between two rules, and between two rows of the heat map
COLUMN = 58.0
NAMES = 230.0  # for the names of the rules
PLOT = 420.0  # for the regrets
TARGETS = 120.0  # for the names of the targets
SOURCES = 190.0  # for the slanted names of the sources
LOST = (0.01, 0.03, 0.06, 0.12, 0.25)  # of the best accuracy: the steps of the heat map, hottest first
OURS = 'shortlist'  # in the name of the rule that trainings follow


@dataclass(frozen=True)
class Bar:
    """The regret of one rule. Coordinates in user units."""

    name: str
    y: float
    x: float
    low: float
    high: float
    regret: float
    ours: bool


@dataclass(frozen=True)
class Tick:
    x: float
    value: float


@dataclass(frozen=True)
class RegretPlot:
    width: float
    height: float
    foot: float  # y of the axis
    origin: float  # x of regret 0
    bars: tuple[Bar, ...]
    ticks: tuple[Tick, ...]


@dataclass(frozen=True)
class Warmth:
    """A cell of the heat map: how near a source comes to the best of its target."""

    x: float
    y: float
    heat: int  # 0 (far behind) to 5 (as good as the best)
    accuracy: float
    best: bool
    target: str
    source: str


@dataclass(frozen=True)
class Name:
    x: float
    y: float
    text: str


@dataclass(frozen=True)
class HeatMap:
    width: float
    height: float
    cells: tuple[Warmth, ...]
    targets: tuple[Name, ...]
    sources: tuple[Name, ...]


def regrets(rules: Sequence[Mapping[str, Any]]) -> RegretPlot:
    """Dots with whiskers, the rules as they are listed; the scale reaches the largest upper bound."""
    most = max([0.01, *(rule['regret']['high'] for rule in rules)])

    def x(value: float) -> float:
        return round(NAMES + PLOT * max(0.0, value) / most, 1)

    bars = tuple(
        Bar(
            name=rule['name'],
            y=round(ROW * (place + 0.5), 1),
            x=x(rule['regret']['mean']),
            low=x(rule['regret']['low']),
            high=x(rule['regret']['high']),
            regret=rule['regret']['mean'],
            ours=OURS in rule['name'],
        )
        for place, rule in enumerate(rules)
    )
    foot = ROW * len(rules)
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if most / step <= 8)
    ticks = tuple(Tick(x(step * count), round(step * count, 2)) for count in range(int(most / step) + 1))
    return RegretPlot(NAMES + PLOT + 30, foot + 30, foot, NAMES, bars, ticks)


def heat_map(result: Mapping[str, Any]) -> HeatMap:
    """Rows are targets, columns sources; a pair that was not run has no cell."""
    targets, sources = (
        [item['name'] for item in result['targets']],
        [item['name'] for item in result['sources']],
    )
    cells = []
    for row, (target, accuracies) in enumerate(zip(targets, result['accuracy'], strict=True)):
        best = max(value for value in accuracies if value is not None)
        cells += [
            Warmth(
                TARGETS + COLUMN * place,
                SOURCES + ROW * row,
                _heat(value / best),
                value,
                value == best,
                target,
                source,
            )
            for place, (source, value) in enumerate(zip(sources, accuracies, strict=True))
            if value is not None
        ]
    return HeatMap(
        width=TARGETS + COLUMN * len(sources) + 100,
        height=SOURCES + ROW * len(targets) + 4,
        cells=tuple(cells),
        targets=tuple(
            Name(TARGETS - 8, SOURCES + ROW * (row + 0.5) + 4, name) for row, name in enumerate(targets)
        ),
        sources=tuple(
            Name(TARGETS + COLUMN * (place + 0.5), SOURCES - 8, name) for place, name in enumerate(sources)
        ),
    )


def _heat(share: float) -> int:
    """Of the best accuracy of the row."""
    return sum(1 for lost in LOST if 1 - share <= lost + 1e-9)
