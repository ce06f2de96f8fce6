"""What a training reports while it runs, and the report of a trained model. No torch.

Every record has one JSON form: its fields by name (transfer.spec.records). docs/api.md describes each part.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

from transfer.spec.records import OPTIONAL, PART, renamed_from, to_json

Interval = tuple[float, float]  # 95 %


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
    options: object = field(default=None, metadata=OPTIONAL)  # of a detector, of its own dataclass


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

    def to_json(self) -> dict[str, object]:
        return dict(to_json(self))


@dataclass(frozen=True)
class DuplicateImage:
    """One of two near-duplicates."""

    id: str
    name: str
    label: str  # '' in a detection project


@dataclass(frozen=True)
class DuplicatePairReport:
    """Two near-duplicates."""

    first: DuplicateImage
    second: DuplicateImage
    similarity: float  # correlation of their aligned thumbnails, up to 1


@dataclass(frozen=True)
class NearDuplicatesReport:
    """Near-duplicates among the images: those of one group are never on both sides of a split."""

    images: int  # that have a near-duplicate
    groups: int
    contradictory: int  # pairs with different labels
    pairs: tuple[DuplicatePairReport, ...]  # contradictory ones first, then the most alike
    sentences: tuple[str, ...]  # what to know of them; none where there are none


@dataclass(frozen=True)
class DataSignature:
    """P2L's signature of the training images: should this model become a source, it has one already."""

    reference: str  # digest of the reference model
    mean: list[float]  # of P2L's feature over the images


@dataclass(frozen=True)
class PrecisionCheck:
    """One precision of a classifier's graph against torch on the sample."""

    precision: str
    largest_difference: float  # of any probability
    agreement: float  # share of images with the same first class
    milliseconds: float  # CPU time of one image alone, one thread


@dataclass(frozen=True)
class EngineInfo:
    """What serves a sealed model, and how far its graph is from torch. What was not measured is left out."""

    name: str = 'torch'  # or openvino
    precision: str = 'float32'  # or bfloat16
    largest_difference: float | None = field(default=None, metadata=OPTIONAL)  # of a probability or score
    # Of a classifier: share of images with the same first class; of a detector: of boxes within a pixel.
    agreement: float | None = field(default=None, metadata=OPTIONAL)
    images: int | None = field(default=None, metadata=OPTIONAL)  # that it was compared on
    checks: tuple[PrecisionCheck, ...] | None = field(default=None, metadata=OPTIONAL)  # of a classifier
    torch_milliseconds: float | None = field(default=None, metadata=OPTIONAL)  # CPU time of one image
    milliseconds: float | None = field(default=None, metadata=OPTIONAL)  # of a detector: of one photo
    why_not: str = ''  # a sentence: why it is not OpenVINO


@dataclass(frozen=True)
class CocoFigures:
    """Average precision as COCO defines it: over IoU 0.5 to 0.95, at 0.5 and at 0.75."""

    ap: float
    ap50: float
    ap75: float


@dataclass(frozen=True)
class Mistakes:
    """The n best detections of each class, n being its number of objects (Hoiem et al. 2012), by what they
    are.
    """

    right: int
    localisation: int  # the right class, but IoU 0.1 to 0.5, or found already
    confusion: int  # on an object of another class
    background: int  # on nothing
    missed: int  # objects that no detection found, of any score


@dataclass(frozen=True)
class Recall:
    """Which share of the true boxes has a proposal over it: no detector on these proposals finds more."""

    boxes: int  # true ones
    half: float  # covered at IoU 0.5
    seven: float  # at IoU 0.7
    proposals: float  # an image, mean


@dataclass(frozen=True)
class ClassDetectionReport:
    """The average precision of one class, with its interval and curve; None where it has no object."""

    label: str
    n: int  # objects
    ap11: float | None
    ap: float | None
    interval: Interval | None  # of ap11
    curve: tuple[tuple[float, float, float], ...]  # (recall, precision, score)


@dataclass(frozen=True)
class BoxReport:
    """A box on an image of the report: a labelled one, or a detection, which has a score."""

    label: str
    box: tuple[float, float, float, float]  # x0, y0, x1, y1 in pixels of the upright image
    score: float | None = field(default=None, metadata=OPTIONAL)


@dataclass(frozen=True)
class WorstImage:
    """An image on which the detector errs much."""

    id: str
    name: str
    width: int  # pixels, upright
    height: int
    missed: int  # objects
    false: int  # detections
    ground_truth: tuple[BoxReport, ...] = field(metadata=renamed_from('truth'))
    detections: tuple[BoxReport, ...] = field(metadata=renamed_from('found'))


@dataclass(frozen=True)
class DetectionReport:
    """The figures of a detector, every one from images that it was not trained on.

    Before version 0.1.0 some keys had other names, and what has a default was not written.
    """

    kind: str  # a key of transfer.spec.detectors.DETECTORS
    ap11: float  # VOC 2007, at IoU 0.5
    ap: float  # all points (VOC 2010 on), at IoU 0.5
    interval: Interval  # of ap11: images drawn again with replacement
    coco: CocoFigures
    objects: int
    classes: tuple[ClassDetectionReport, ...]
    mistakes: Mistakes
    proposals: Recall | None = field(metadata=PART)  # None of a detector that makes its own
    # From this score on, detections are shown.
    score_threshold: float = field(metadata=renamed_from('at_score'))
    worst: tuple[WorstImage, ...]
    seconds: float  # of CPU time an image, without proposals
    train_images: int = field(metadata=renamed_from('learned'))
    test_images: int = field(metadata=renamed_from('measured'))
    # Of the detector that is served, which may have been trained on all images after the evaluation.
    final_train_images: int | None = field(default=None, metadata=OPTIONAL | renamed_from('served'))
    # What serving takes for a photo, from its bytes to its boxes.
    serving_seconds: float | None = field(default=None, metadata=OPTIONAL | renamed_from('answer_seconds'))
    refit_curve: tuple[EpochMetrics, ...] | None = field(default=None, metadata=OPTIONAL)
    # Why its backbone cannot be a source model; '' where it can, None where nobody tried.
    backbone: str | None = field(default=None, metadata=OPTIONAL | renamed_from('as_source'))


@dataclass(frozen=True)
class TrainReport:
    """What is known of a sealed model."""

    accuracy: float  # out-of-fold, 0 to 1
    interval: Interval  # Wilson
    images: int
    labels: tuple[str, ...]
    winner: str  # linear, finetuned, ensemble, finetuned ensemble, or the kind of a detector
    why: str  # one sentence: why the winner won
    source: str
    members: tuple[str, ...] = ()  # names of the sources whose networks answer together; empty: one network
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
    engine: EngineInfo | None = field(default=None, metadata=PART)
    notes: tuple[str, ...] = ()  # sentences: batch halved, source left out ...
    data_digest: str = ''
    seed: int = 0
    signature: DataSignature | None = field(default=None, metadata=PART)
    near_duplicates: NearDuplicatesReport | None = field(default=None, metadata=PART)
    detection: DetectionReport | None = field(default=None, metadata=PART)  # of a detector

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
