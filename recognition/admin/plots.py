"""The geometry of the benchmark's plots: numbers in, shapes for SVG templates out. All coordinates are SVG
user units.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recognition.zoo.selection_params import BenchmarkResult, RuleResult

ROW_HEIGHT = 26.0  # of a rule, and of a row of the heat map
COLUMN_WIDTH = 58.0
RULE_NAMES_WIDTH = 230.0
REGRET_WIDTH = 420.0
TARGET_NAMES_WIDTH = 120.0
SOURCE_NAMES_HEIGHT = 190.0  # they are slanted
# Steps of the heat map: how far a source is behind the best of its row, as a share of the best accuracy.
HEAT_STEPS = (0.01, 0.03, 0.06, 0.12, 0.25)
PRODUCT_RULE = 'shortlist'  # in the name of the rule that trainings follow


@dataclass(frozen=True)
class RegretDot:
    """The regret of one rule with its 95 % interval."""

    name: str
    y: float
    x: float
    low: float
    high: float
    regret: float
    is_product_rule: bool


@dataclass(frozen=True)
class AxisTick:
    x: float
    value: float


@dataclass(frozen=True)
class RegretPlot:
    width: float
    height: float
    axis_y: float
    origin: float  # x of regret 0
    dots: tuple[RegretDot, ...]
    ticks: tuple[AxisTick, ...]


@dataclass(frozen=True)
class HeatMapCell:
    """How close the accuracy of a source comes to the best of its target."""

    x: float
    y: float
    heat: int  # 0 (far behind) to 5 (as good as the best)
    accuracy: float
    best: bool
    target: str
    source: str


@dataclass(frozen=True)
class PlotLabel:
    x: float
    y: float
    text: str


@dataclass(frozen=True)
class HeatMap:
    width: float
    height: float
    cells: tuple[HeatMapCell, ...]
    targets: tuple[PlotLabel, ...]
    sources: tuple[PlotLabel, ...]


def plot_regrets(rules: Sequence[RuleResult]) -> RegretPlot:
    """Lay out dots with whiskers in the order of the rules; the scale reaches the largest upper bound."""
    largest = max([0.01, *(rule.regret.high for rule in rules)])

    def scale(value: float) -> float:
        return round(RULE_NAMES_WIDTH + REGRET_WIDTH * max(0.0, value) / largest, 1)

    dots = tuple(
        RegretDot(
            name=rule.name,
            y=round(ROW_HEIGHT * (row + 0.5), 1),
            x=scale(rule.regret.mean),
            low=scale(rule.regret.low),
            high=scale(rule.regret.high),
            regret=rule.regret.mean,
            is_product_rule=PRODUCT_RULE in rule.name,
        )
        for row, rule in enumerate(rules)
    )
    axis_y = ROW_HEIGHT * len(rules)
    step = next(step for step in (0.01, 0.02, 0.05, 0.1, 0.2, 0.5) if largest / step <= 8)
    ticks = tuple(
        AxisTick(scale(step * count), round(step * count, 2)) for count in range(int(largest / step) + 1)
    )
    width = RULE_NAMES_WIDTH + REGRET_WIDTH + 30
    return RegretPlot(width, axis_y + 30, axis_y, RULE_NAMES_WIDTH, dots, ticks)


def plot_heat_map(result: BenchmarkResult) -> HeatMap:
    """Lay out targets as rows and sources as columns; a pair that was not run has no cell."""
    targets = [target.name for target in result.targets]
    sources = [source.name for source in result.sources]
    cells: list[HeatMapCell] = []
    for row, (target, accuracies) in enumerate(zip(targets, result.accuracy, strict=True)):
        best = max(value for value in accuracies if value is not None)
        cells += [
            HeatMapCell(
                x=TARGET_NAMES_WIDTH + COLUMN_WIDTH * column,
                y=SOURCE_NAMES_HEIGHT + ROW_HEIGHT * row,
                heat=_compute_heat(value / best),
                accuracy=value,
                best=value == best,
                target=target,
                source=source,
            )
            for column, (source, value) in enumerate(zip(sources, accuracies, strict=True))
            if value is not None
        ]
    return HeatMap(
        width=TARGET_NAMES_WIDTH + COLUMN_WIDTH * len(sources) + 100,
        height=SOURCE_NAMES_HEIGHT + ROW_HEIGHT * len(targets) + 4,
        cells=tuple(cells),
        targets=tuple(
            PlotLabel(TARGET_NAMES_WIDTH - 8, SOURCE_NAMES_HEIGHT + ROW_HEIGHT * (row + 0.5) + 4, name)
            for row, name in enumerate(targets)
        ),
        sources=tuple(
            PlotLabel(TARGET_NAMES_WIDTH + COLUMN_WIDTH * (column + 0.5), SOURCE_NAMES_HEIGHT - 8, name)
            for column, name in enumerate(sources)
        ),
    )


def _compute_heat(share: float) -> int:
    """share: accuracy / best accuracy of the row."""
    return sum(1 for step in HEAT_STEPS if 1 - share <= step + 1e-9)
