"""What a training reports while it runs, and the report of a trained model. No torch."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True)
class Progress:
    """Where a training is."""

    phase: str  # proposals, decode, reference, rank, instant, probe, finetune, evaluate, provisional, refit, seal
    fraction: float  # of the whole training, 0 to 1
    message: str = ''  # a sentence for the user
    epoch: int = 0
    epochs: int = 0
    loss: float | None = None
    accuracy: float | None = None  # validation, 0 to 1
    seconds_left: float | None = None  # from the speed measured in this run
    forecast: str = ''  # a sentence for the user, once it can be said: what accuracy to expect


@dataclass(frozen=True)
class TrainReport:
    """What is known of a sealed model. Everything is plain JSON (see docs/api.md for the shape of each part)."""

    accuracy: float  # out-of-fold, 0 to 1
    interval: tuple[float, float]  # 95 %, Wilson
    images: int
    labels: tuple[str, ...]
    winner: str  # linear or finetuned
    why: str  # one sentence: why the winner won
    source: str
    ranking: list[dict[str, Any]] = field(
        default_factory=list
    )  # P2L: name, divergence, size, score parts, stability
    probes: list[dict[str, Any]] = field(default_factory=list)  # name, accuracy, interval, seconds
    forecast: dict[str, Any] = field(
        default_factory=dict
    )  # before finetuning: expected, points, gain, sentence
    plan: dict[str, Any] = field(
        default_factory=dict
    )  # quadrant, why, groups, rates by group, epochs, precision, device
    per_class: list[dict[str, Any]] = field(default_factory=list)  # label, n, precision, recall, intervals
    confusion: list[list[int]] = field(default_factory=list)  # rows: truth, columns: prediction
    misclassified: list[dict[str, Any]] = field(default_factory=list)  # id, name, truth, prediction, score
    calibration: dict[str, Any] = field(default_factory=dict)  # temperature, ece before/after, bins
    curve: list[dict[str, Any]] = field(default_factory=list)  # epoch, loss, accuracy, seconds
    seconds: dict[str, float] = field(default_factory=dict)  # per phase
    engine: dict[str, Any] = field(
        default_factory=dict
    )  # engine, largest difference to torch, agreement, why not
    notes: tuple[str, ...] = ()  # sentences: batch halved, source skipped ...
    data_digest: str = ''
    seed: int = 0
    signature: dict[str, Any] = field(
        default_factory=dict
    )  # reference (digest), mean (of P2L's feature over the images)
    detection: dict[str, Any] = field(default_factory=dict)  # of a detector: see transfer.detection.report

    def to_json(self) -> dict[str, Any]:
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class SealedModel:
    """A finished artifact folder and what is known of it."""

    folder: str
    digest: str
    report: TrainReport


class Report(Protocol):
    """The one thing passed down that speaks up. Both methods raise JobCancelledError when the job is no longer wanted."""

    def progress(self, progress: Progress) -> None: ...

    def instant(self, model: SealedModel) -> None:
        """A first model is sealed and may be used while a better one is learned: the linear one, or the detector that was
        measured."""
