"""Train a classifier: choose a source model, seal an instant model, finetune, seal the better."""

from __future__ import annotations

import dataclasses
import hashlib
from pathlib import Path

import numpy as np
from torch import nn

from transfer.classification.report import ReportInputs, write_report
from transfer.data.manifests import Manifest
from transfer.data.splits import keep_trainable_labels
from transfer.features.metrics import accuracy
from transfer.features.network import count_multiply_adds
from transfer.finetune.cross_validation import (
    EpochProgress,
    FinetuneResult,
    FinetuneTask,
    attach_head,
    finetune,
    list_layer_groups,
)
from transfer.finetune.plan import Plan, choose_plan
from transfer.runtime.device import choose_device
from transfer.runtime.progress import ProgressTracker
from transfer.selection.choose import (
    SourceChoice,
    choose_source,
    probe_first_usable,
    rank_sources,
    report_ranking,
)
from transfer.selection.context import ProbedSource, TrainingContext
from transfer.selection.forecast import forecast_accuracy
from transfer.serving.artifacts import Preprocessing
from transfer.serving.sealing import seal
from transfer.spec.report import AccuracyForecast, PlanReport, RankingEntry, Report, SealedModel
from transfer.spec.train_spec import TrainSpec

CHECKED_IMAGES = 32  # on which the sealed graph is compared with torch


def train_classifier(
    manifest: Manifest, spec: TrainSpec, workdir: Path, report: Report, cache: Path
) -> SealedModel:
    """See transfer.pipeline.train."""
    manifest, notes = keep_trainable_labels(manifest)
    tracker = ProgressTracker(report)
    context = TrainingContext(manifest, spec, choose_device(spec.device), cache, tracker, list(notes))
    ranked = rank_sources(context)
    with tracker.phase('instant', 'Fitting the instant model'):
        first = probe_first_usable(context, ranked)
        instant = _seal_instant(context, first, report_ranking(ranked), workdir / 'instant')
    if spec.instant_only:
        return instant
    report.instant(instant)
    choice = choose_source(context, ranked, first)
    forecast = forecast_accuracy(context, choice)
    plan, result = _finetune(context, choice.probed, workdir / 'checkpoints')
    return _seal_best(context, choice, forecast, plan, result, workdir / 'sealed')


def _seal_instant(
    context: TrainingContext, probed: ProbedSource, ranking: tuple[RankingEntry, ...], folder: Path
) -> SealedModel:
    source = probed.network.source
    why = f'A linear model on the frozen features of {source.title or source.name}, ready at once.'
    inputs = ReportInputs(source, probed.probe.logits, 'linear', why, ranking)
    model = attach_head(probed.network, context.classes, probed.probe.head)
    return _seal(context, probed, model, inputs, folder, provisional=not context.spec.instant_only)


def _finetune(context: TrainingContext, probed: ProbedSource, folder: Path) -> tuple[Plan, FinetuneResult]:
    """Finetune by plan, unless the plan is to keep the linear head or that makes no mistake."""
    instant_accuracy = accuracy(probed.probe.logits, context.labels)
    macs = count_multiply_adds(probed.network) if context.device.type == 'cpu' else 0.0
    groups = list_layer_groups(probed.network)
    plan = choose_plan(context.spec, groups, len(context.labels), context.classes, instant_accuracy, macs)
    nothing = np.empty((0, context.classes))
    if not plan.epochs:
        return plan, FinetuneResult(None, nothing, f'{plan.why} The linear head is kept.')
    if instant_accuracy == 1.0 and context.spec.plan == 'auto':
        why = 'The linear head predicts every image rightly that it was not trained on: it is kept.'
        return plan, FinetuneResult(None, nothing, why)
    task = FinetuneTask(
        network=probed.network,
        pixels=probed.pixels,
        features=probed.features,
        labels=context.labels,
        classes=context.classes,
        spec=context.spec,
        plan=plan,
        groups=context.group_images(probed.pixels),
        macs=macs,
        instant_accuracy=instant_accuracy,
    )

    # By the groups: a run of another assignment to folds must not be continued.
    folder /= hashlib.sha256('\n'.join(task.groups).encode()).hexdigest()[:16]

    def report(done: float, progress: EpochProgress) -> None:
        context.tracker.update(done, **dataclasses.asdict(progress))

    with context.tracker.phase('finetune', f'Finetuning: {plan.why}'):
        return plan, finetune(task, context.machine, folder, report)


def _seal_best(
    context: TrainingContext,
    choice: SourceChoice,
    forecast: AccuracyForecast,
    plan: Plan,
    result: FinetuneResult,
    folder: Path,
) -> SealedModel:
    probed, is_finetuned = choice.probed, result.model is not None
    inputs = ReportInputs(
        choice.source,
        result.logits if is_finetuned else probed.probe.logits,
        'finetuned' if is_finetuned else 'linear',
        result.why,
        choice.ranking,
        choice.probes,
        forecast,
        _report_plan(context, choice, plan, result),
        result.curve,
    )
    model = result.model or attach_head(probed.network, context.classes, probed.probe.head)
    with context.tracker.phase('seal', 'Sealing the model'):
        return _seal(context, probed, model, inputs, folder, provisional=False)


def _report_plan(
    context: TrainingContext, choice: SourceChoice, plan: Plan, result: FinetuneResult
) -> PlanReport:
    report = PlanReport(
        source_why=choice.why,
        device=context.device.type,
        name=plan.name,
        quadrant=plan.quadrant,
        why=plan.why,
        rates=plan.rates,
        epochs=plan.epochs,
        batch=context.spec.batch,
    )
    if result.facts is None:
        return report
    facts = dataclasses.asdict(result.facts)
    return dataclasses.replace(report, **facts, groups=tuple(result.facts.rates))


def _seal(
    context: TrainingContext,
    probed: ProbedSource,
    model: nn.Module,
    inputs: ReportInputs,
    folder: Path,
    *,
    provisional: bool,
) -> SealedModel:
    report, temperature = write_report(context, inputs)
    rows = np.unique(np.linspace(0, len(context.labels) - 1, CHECKED_IMAGES).round().astype(int))
    source = probed.network.source
    return seal(
        folder,
        model,
        labels=context.manifest.labels,
        preprocessing=Preprocessing.of(source),
        temperature=temperature,
        source=source,
        why=inputs.plan.source_why if inputs.plan else inputs.why,
        spec=context.spec,
        report=report,
        sample=np.ascontiguousarray(probed.pixels.array[rows]),
        provisional=provisional,
    )
