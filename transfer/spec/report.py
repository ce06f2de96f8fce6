"""What a training reports while it runs, and the report of a trained model. No torch.

Every record has one JSON form: its fields by name (`TrainReport.to_json`). docs/api.md describes each part.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Interval = tuple[float, float]  # 95 %
# Marks a field that is left out of the JSON where it is None.
OPTIONAL = {'optional': True}
# Marks a part that is {} in the JSON where it is None: it was not measured.
PART = {'part': True}


@dataclass(frozen=True)
class Progress:
    """Where a training is."""

    # proposals, decode, reference, rank, instant, probe, finetune, evaluate, provisional, refit, seal
    phase: str
    fraction: float  # of the whole training, 0 to 1
    message: str = ''  # a sentence for the user
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    accuracy: float | None = None  # validation, 0 to 1
    seconds_left: float | None = None  # from the speed measured in this run
    forecast: str = ''  # a sentence for the user, once there is one: the accuracy to expect


@dataclass(frozen=True)
class RankingEntry:
    """A source model in the ranking by P2L score, as p2l.ranking.Ranked."""

    name: str
    divergence: float | None  # None without a signature
    images: int
    similarity_part: float
    size_part: float
    score: float
    stability: float  # share of bootstrap resamples in which it comes first
    has_signature: bool  # whether its data set has a signature
    dataset: str = ''


@dataclass(frozen=True)
class ProbeEntry:
    """The cross-validated accuracy of a linear head on one source's features."""

    name: str  # of the source model
    accuracy: float
    interval: Interval
    penalty: float
    seconds: float


@dataclass(frozen=True)
class ForecastInterval:
    """The accuracy that recorded trainings let expect of this one."""

    middle: float
    low: float
    high: float
    level: float  # of the interval low to high
    targets: int  # data sets in the record


@dataclass(frozen=True)
class LearningCurvePoint:
    """A point of the learning curve: the accuracy of linear heads trained on so many images."""

    images: int
    accuracy: float
    test_images: int  # that the accuracy was measured on
    interval: Interval


@dataclass(frozen=True)
class GainInterval:
    """What so many more images would add to the accuracy."""

    images: int
    middle: float
    low: float
    high: float


@dataclass(frozen=True)
class AccuracyForecast:
    """What is expected before finetuning begins."""

    expected: ForecastInterval | None  # None without a record of outcomes
    points: tuple[LearningCurvePoint, ...]
    gain: GainInterval | None  # None where the images are too few to be cut into parts
    sentence: str  # '' where nothing is known


@dataclass(frozen=True)
class PlanReport:
    """How a model was trained. What does not apply is None, and is left out of the JSON."""

    source_why: str  # one sentence: why this source model
    device: str
    name: str | None = field(default=None, metadata=OPTIONAL)
    quadrant: str | None = field(default=None, metadata=OPTIONAL)
    why: str | None = field(default=None, metadata=OPTIONAL)
    rates: dict[str, float] | None = field(default=None, metadata=OPTIONAL)  # learning rate by layer group
    epochs: int | None = field(default=None, metadata=OPTIONAL)
    batch: int | None = field(default=None, metadata=OPTIONAL)
    precision: str | None = field(default=None, metadata=OPTIONAL)
    cached_layers: tuple[str, ...] | None = field(default=None, metadata=OPTIONAL)
    groups: tuple[str, ...] | None = field(default=None, metadata=OPTIONAL)  # from input to head
    folds: int | None = field(default=None, metadata=OPTIONAL)
    folds_run: int | None = field(default=None, metadata=OPTIONAL)
    best_epoch: int | None = field(default=None, metadata=OPTIONAL)
    options: dict[str, object] | None = field(default=None, metadata=OPTIONAL)  # of a detector


@dataclass(frozen=True)
class ClassReport:
    """Precision and recall of one class, with n and intervals; None where there is nothing to divide by."""

    label: str
    n: int
    recall: float | None
    recall_interval: Interval
    predicted: int
    precision: float | None
    precision_interval: Interval


@dataclass(frozen=True)
class MisclassifiedImage:
    """An image that was predicted wrongly by a model that had not been trained on it."""

    id: str
    name: str
    digest: str
    label: str  # ground truth
    prediction: str
    score: float


@dataclass(frozen=True)
class ReliabilityBin:
    """The images whose confidence lies between `low` and `high`."""

    low: float
    high: float
    n: int
    confidence: float  # mean
    accuracy: float


@dataclass(frozen=True)
class CalibrationReport:
    """The temperature, and log loss and calibration error before and after it is applied."""

    temperature: float
    ece_before: float
    ece_after: float
    loss_before: float
    loss_after: float
    bins_before: tuple[ReliabilityBin, ...]
    bins: tuple[ReliabilityBin, ...]


@dataclass(frozen=True)
class EpochMetrics:
    """One epoch of a training. Of a detector only the loss is known."""

    epoch: int
    loss: float | None
    accuracy: float | None = None
    validation_loss: float | None = field(default=None, metadata=OPTIONAL)
    seconds: float | None = field(default=None, metadata=OPTIONAL)

    @staticmethod
    def from_json(values: Mapping[str, Any]) -> EpochMetrics:
        return EpochMetrics(**values)

    def to_json(self) -> dict[str, object]:
        return dict(to_json(self))


@dataclass(frozen=True)
class DataSignature:
    """P2L's signature of the training images: should this model become a source, it has one already."""

    reference: str  # digest of the reference model
    mean: list[float]  # of P2L's feature over the images


@dataclass(frozen=True)
class TrainReport:
    """What is known of a sealed model."""

    accuracy: float  # out-of-fold, 0 to 1
    interval: Interval  # Wilson
    images: int
    labels: tuple[str, ...]
    winner: str  # linear, finetuned, or the kind of a detector
    why: str  # one sentence: why the winner won
    source: str
    ranking: tuple[RankingEntry, ...] = ()
    probes: tuple[ProbeEntry, ...] = ()
    forecast: AccuracyForecast | None = field(default=None, metadata=PART)
    plan: PlanReport | None = field(default=None, metadata=PART)
    per_class: tuple[ClassReport, ...] = ()
    confusion: list[list[int]] = field(default_factory=list)  # rows: ground truth, columns: prediction
    misclassified: tuple[MisclassifiedImage, ...] = ()
    calibration: CalibrationReport | None = field(default=None, metadata=PART)
    curve: tuple[EpochMetrics, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)  # by phase
    # The serving engine: its name, the largest difference to torch, agreement, and why it is not OpenVINO.
    engine: dict[str, object] = field(default_factory=dict)
    notes: tuple[str, ...] = ()  # sentences: batch halved, source left out ...
    data_digest: str = ''
    seed: int = 0
    signature: DataSignature | None = field(default=None, metadata=PART)
    detection: dict[str, object] = field(default_factory=dict)  # of a detector: see transfer.detection.report

    def to_json(self) -> dict[str, object]:
        return dict(to_json(self))


@dataclass(frozen=True)
class SealedModel:
    """A finished artifact folder and what is known of it."""

    folder: str
    digest: str
    report: TrainReport


class Report(Protocol):
    """What a training reports to. Both methods raise JobCancelledError when the job was cancelled."""

    def progress(self, progress: Progress) -> None: ...

    def instant(self, model: SealedModel) -> None:
        """A first model is sealed and may be used while a better one is trained: the instant model, or the
        detector that was evaluated.
        """


def to_json(value: Any) -> Any:
    """A record as plain JSON types, its fields by name; see OPTIONAL and PART for those that are None."""
    if dataclasses.is_dataclass(value):
        return {
            each.name: {} if held is None and 'part' in each.metadata else to_json(held)
            for each in dataclasses.fields(value)
            if (held := getattr(value, each.name)) is not None or 'optional' not in each.metadata
        }
    if isinstance(value, Mapping):
        return {name: to_json(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(held) for held in value]
    return value
