"""What this installation knows about selecting source models: the newest benchmark, and the parameters that
trainings use.

`manage.py zoo benchmark` and `zoo fit` write both (recognition.zoo.benchmark_results); without them what
ships with Graft counts. Every training and the administrators' page read them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings

from transfer.spec.records import from_json, renamed_from
from transfer.spec.train_spec import TrainSpec

RESULT = 'result.json'
PARAMS = 'selection_params.json'


@dataclass(frozen=True)
class SelectionParams:
    """What trainings take from recorded accuracies."""

    weights: tuple[float, float]  # similarity : size
    forecast: dict[str, float]  # of p2l.forecast.Forecaster; empty: no accuracy is forecast
    origin: str  # what they were fitted to, as a phrase


@dataclass(frozen=True)
class IntervalEstimate:
    """A mean over the targets of a benchmark, with its 95 % bootstrap interval over targets."""

    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class RuleResult:
    """How well one rule selects sources. The fields are those of p2l's comparison, where their definitions
    are.
    """

    name: str
    regret: IntervalEstimate  # best accuracy - accuracy of the source that the rule picks
    relative: IntervalEstimate  # accuracy of the pick / best accuracy
    top1: float  # share of targets whose pick is the best source, or within seed noise of it
    random_top1: float = field(metadata=renamed_from('chance'))  # the same for a random pick
    top3_regret: float  # when the first three are finetuned and the best is kept
    tau: float  # weighted Kendall tau of scores and accuracies
    by_target: tuple[float, ...]  # regret of each target
    seconds: float  # mean cost of one selection
    share: float  # of the cost of finetuning every source


@dataclass(frozen=True)
class AccuracyGain:
    """How much more accurate the product's picks are than those of a baseline, on the same targets."""

    name: str  # of the baseline
    mean: float
    low: float
    high: float


@dataclass(frozen=True)
class TargetSummary:
    name: str
    classes: int
    train_images: int = field(metadata=renamed_from('images'))
    test_images: int = field(metadata=renamed_from('held'))
    seeds: int
    noise: float  # standard error of the difference of two sources' accuracies; 0: one seed only


@dataclass(frozen=True)
class BenchmarkSource:
    name: str
    dataset: str
    images: int
    parameters: int
    has_signature: bool = field(metadata=renamed_from('signed'))


@dataclass(frozen=True)
class SignatureComparison:
    """The rules among the sources that have a signature."""

    sources: tuple[str, ...]
    rules: tuple[RuleResult, ...]


@dataclass(frozen=True)
class ForecastCoverage:
    """How often the 90 % interval of a forecast covers the accuracy measured on a target that it was not
    fitted to.
    """

    covered: float  # of the picks from random halves of the zoo
    targets_covered: float  # of the picks from the whole zoo, mean over targets
    width: float  # median, of the picks from the whole zoo


@dataclass(frozen=True)
class WeightsComparison:
    weights: tuple[float, float]  # fitted, similarity : size
    before: float  # mean regret with 1.5 : 1
    after: float  # mean regret when each target uses the weights fitted on the others


@dataclass(frozen=True)
class BenchmarkResult:
    """What a benchmark of source selection found; JSON in the benchmark's folder and in the installation's
    own. Results of before v0.1.0 have other names for some keys.
    """

    made_at: str  # ISO 8601
    folder: str
    setup: dict[str, object]  # as transfer.selection.benchmark.matrix was asked
    targets: tuple[TargetSummary, ...]
    sources: tuple[BenchmarkSource, ...]
    accuracy: tuple[tuple[float | None, ...], ...]  # (targets, sources), mean over seeds; None: not run
    rules: tuple[RuleResult, ...]
    ahead_of: tuple[AccuracyGain, ...]
    # None: all sources have one, or fewer than two.
    with_signature: SignatureComparison | None = field(metadata=renamed_from('signed'))
    exhaustive_seconds: float  # finetuning every source on a target, mean
    forecast: ForecastCoverage | None  # None: too few targets
    weights: WeightsComparison


def get_benchmark_folder() -> Path:
    """The installation's own folder of results. One of before v0.1.0 was called `evidence` and is renamed."""
    folder = Path(settings.DATA_DIR) / 'benchmark'
    earlier = folder.with_name('evidence')
    if earlier.is_dir() and not folder.exists():
        earlier.rename(folder)
    return folder


def read_latest_result() -> BenchmarkResult | None:
    """The newest benchmark on this installation; None before the first."""
    path = get_benchmark_folder() / RESULT
    return from_json(BenchmarkResult, json.loads(path.read_text())) if path.is_file() else None


def read_selection_params() -> SelectionParams:
    """Those fitted on this installation, else those that ship with Graft, else the weights of the P2L
    publication.
    """
    own = get_benchmark_folder()
    # `learned.json`: the name before v0.1.0.
    for path in (own / PARAMS, own / 'learned.json', Path(settings.SHIPPED_SELECTION_PARAMS)):
        if path.is_file():
            values = json.loads(path.read_text())
            weights = (values['weights'][0], values['weights'][1])
            return SelectionParams(weights, values['forecast'], values['origin'])
    return SelectionParams(TrainSpec().weights, {}, 'no recorded accuracies yet')
