"""Build the report of a classifier: every figure is out-of-fold."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from transfer.data.duplicates_report import report_near_duplicates
from transfer.features.calibration import calibrate
from transfer.features.metrics import (
    confusion_matrix,
    describe_classes,
    list_misclassified,
    wilson_interval,
)
from transfer.runtime.softmax import softmax
from transfer.selection.context import TrainingContext
from transfer.spec.report import (
    AccuracyForecast,
    EpochMetrics,
    PlanReport,
    ProbeEntry,
    RankingEntry,
    TrainReport,
)
from transfer.spec.train_spec import SourceModelSpec


@dataclass(frozen=True)
class ReportInputs:
    """A trained classifier's source model and out-of-fold scores, and how it was made."""

    source: SourceModelSpec
    logits: np.ndarray  # out-of-fold (n, classes)
    winner: str  # the kind of a transfer.classification.portfolio.Candidate
    why: str
    ranking: tuple[RankingEntry, ...]
    probes: tuple[ProbeEntry, ...] = ()
    forecast: AccuracyForecast | None = None
    plan: PlanReport | None = None
    curve: tuple[EpochMetrics, ...] = ()
    members: tuple[str, ...] = ()  # names of the sources that answer together


def write_report(context: TrainingContext, inputs: ReportInputs) -> tuple[TrainReport, float]:
    """Return the report, from the out-of-fold scores, and the temperature of the calibration."""
    labels = context.labels
    calibration = calibrate(inputs.logits, labels)
    probabilities = softmax(inputs.logits, calibration.temperature)
    predicted = inputs.logits.argmax(1)
    table = confusion_matrix(predicted, labels, context.classes)
    right = int((predicted == labels).sum())
    duplicates = context.duplicates
    report = TrainReport(
        accuracy=right / len(labels),
        interval=wilson_interval(right, len(labels)),
        images=len(labels),
        labels=context.manifest.labels,
        winner=inputs.winner,
        why=inputs.why,
        source=inputs.source.name,
        members=inputs.members,
        ranking=inputs.ranking,
        probes=inputs.probes,
        forecast=inputs.forecast,
        plan=inputs.plan,
        per_class=describe_classes(table, context.manifest.labels),
        confusion=table.tolist(),
        misclassified=list_misclassified(context.manifest.images, context.manifest.labels, probabilities),
        calibration=calibration,
        curve=inputs.curve,
        seconds={name: round(seconds, 3) for name, seconds in context.tracker.seconds.items()},
        notes=tuple(context.notes),
        data_digest=context.manifest.digest,
        seed=context.spec.seed,
        signature=context.signature,
        near_duplicates=None
        if duplicates is None
        else report_near_duplicates(
            duplicates,
            context.manifest.images,
            labels.tolist(),
            context.manifest.labels,
            context.spec.folds,
        ),
    )
    return report, calibration.temperature
