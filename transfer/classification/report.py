"""What is said of a trained model: every figure from images that the model scoring them had not seen."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np

from transfer.features.calibration import calibrate
from transfer.features.metrics import (
    confusion_matrix,
    describe_classes,
    softmax,
    wilson_interval,
    wrong_images,
)
from transfer.selection.context import TrainingContext
from transfer.spec.report import TrainReport
from transfer.spec.train_spec import SourceModelSpec


@dataclass(frozen=True)
class Verdict:
    """A finished method on one source, and its out-of-fold scores."""

    source: SourceModelSpec
    logits: np.ndarray  # out-of-fold (n, classes)
    winner: str  # linear or finetuned
    why: str
    ranking: list[dict[str, Any]] = field(default_factory=list)
    probes: list[dict[str, Any]] = field(default_factory=list)
    forecast: dict[str, Any] = field(default_factory=dict)
    plan: dict[str, Any] = field(default_factory=dict)
    curve: list[dict[str, Any]] = field(default_factory=list)


def write_report(shop: TrainingContext, verdict: Verdict) -> TrainReport:
    """Accuracy with its interval, classes, mistakes and calibration, from the out-of-fold scores."""
    calibration = calibrate(verdict.logits, shop.labels)
    probabilities = softmax(verdict.logits, calibration['temperature'])
    predicted = verdict.logits.argmax(1)
    table = confusion_matrix(predicted, shop.labels, shop.classes)
    right = int((predicted == shop.labels).sum())
    return TrainReport(
        accuracy=right / len(shop.labels),
        interval=wilson_interval(right, len(shop.labels)),
        images=len(shop.labels),
        labels=shop.manifest.labels,
        winner=verdict.winner,
        why=verdict.why,
        source=verdict.source.name,
        ranking=verdict.ranking,
        probes=verdict.probes,
        forecast=verdict.forecast,
        plan=verdict.plan,
        per_class=describe_classes(table, shop.manifest.labels),
        confusion=table.tolist(),
        misclassified=wrong_images(shop.manifest.images, shop.manifest.labels, probabilities),
        calibration=calibration,
        curve=verdict.curve,
        seconds={name: round(seconds, 3) for name, seconds in shop.course.seconds.items()},
        notes=tuple(shop.notes),
        data_digest=shop.manifest.digest,
        seed=shop.spec.seed,
        signature=shop.signature,
    )
