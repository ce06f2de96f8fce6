"""The method, from labelled photos to a sealed model."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from transfer.classification.report import Verdict, write_report
from transfer.data.manifests import DetectionManifest, Manifest
from transfer.data.splits import trainable
from transfer.detection import train as detection_train
from transfer.features.metrics import accuracy
from transfer.finetune.cross_validation import (
    FinetuneResult,
    FinetuneTask,
    attach_head,
    finetune,
    list_layer_groups,
)
from transfer.finetune.flops import count_multiply_adds
from transfer.finetune.plan import Plan, choose_plan
from transfer.runtime.device import choose_device
from transfer.runtime.progress import ProgressTracker
from transfer.selection.choose import SourceChoice, choose_source, probe_first_usable, rank_sources
from transfer.selection.context import ProbedSource, TrainingContext
from transfer.selection.forecast import forecast_accuracy
from transfer.serving.artifacts import Preprocessing
from transfer.serving.sealing import seal
from transfer.spec.report import Report, SealedModel
from transfer.spec.train_spec import TrainSpec

SAMPLE = 32  # images on which the sealed graph is checked against torch


def train(
    manifest: Manifest | DetectionManifest, spec: TrainSpec, workdir: Path, report: Report, cache: Path
) -> SealedModel:
    """Learn a classifier from the manifest's images, or a detector from its boxes; returns the sealed model, in a folder of
    `workdir`.

    `workdir` holds the checkpoints: called again with the same one, the training goes on where it was and ends the same.
    `cache` holds what later trainings may use again (pixels, features) and may be emptied at any time.
    Errors: TrainingError and its kinds, each with a sentence for the user; JobCancelledError, from the report.
    """
    if isinstance(manifest, DetectionManifest):
        return detection_train.train(manifest, spec, workdir, report, cache)
    manifest, notes = trainable(manifest)
    shop = TrainingContext(
        manifest, spec, choose_device(spec.device), cache, ProgressTracker(report), list(notes)
    )
    ranked = rank_sources(shop)
    with shop.course.phase('instant', 'Learning a first, linear model'):
        first = probe_first_usable(shop, ranked)
        instant = _seal_instant(shop, first, [dataclasses.asdict(item) for item in ranked], workdir)
    if spec.instant_only:
        return instant
    report.instant(instant)
    chosen = choose_source(shop, ranked, first)
    forecast = forecast_accuracy(shop, chosen)
    plan, outcome = _finetune(shop, chosen.learned, workdir / 'checkpoints')
    return _seal_best(shop, chosen, forecast, plan, outcome, workdir)


def _seal_instant(
    shop: TrainingContext, learned: ProbedSource, ranking: list[dict[str, Any]], workdir: Path
) -> SealedModel:
    source = learned.network.source
    why = f'A linear model on the frozen features of {source.title or source.name}, ready at once.'
    verdict = Verdict(source, learned.probe.logits, 'linear', why, ranking)
    model = attach_head(learned.network, shop.classes, learned.probe.head)
    return _seal(shop, learned, model, verdict, workdir / 'instant', provisional=not shop.spec.instant_only)


def _finetune(shop: TrainingContext, learned: ProbedSource, folder: Path) -> tuple[Plan, FinetuneResult]:
    reached = accuracy(learned.probe.logits, shop.labels)
    macs = count_multiply_adds(learned.network) if shop.device.type == 'cpu' else 0.0
    plan = choose_plan(
        shop.spec, list_layer_groups(learned.network), len(shop.labels), shop.classes, reached, macs
    )
    nothing = np.empty((0, shop.classes))
    if not plan.epochs:
        return plan, FinetuneResult(None, nothing, f'{plan.why} The linear head is kept.', [], {})
    if reached == 1.0 and shop.spec.plan == 'auto':
        return plan, FinetuneResult(
            None, nothing, 'The linear head gets every image right that it has not seen: it is kept.', [], {}
        )
    with shop.course.phase('finetune', f'Finetuning: {plan.why}'):
        task = FinetuneTask(
            learned.network,
            learned.pixels,
            learned.features,
            shop.labels,
            shop.classes,
            shop.spec,
            plan,
            macs,
            reached,
        )
        return plan, finetune(task, shop.machine, folder, lambda done, facts: shop.course.beat(done, **facts))


def _seal_best(
    shop: TrainingContext,
    chosen: SourceChoice,
    forecast: dict[str, Any],
    plan: Plan,
    outcome: FinetuneResult,
    workdir: Path,
) -> SealedModel:
    learned, finetuned = chosen.learned, outcome.model is not None
    model = outcome.model or attach_head(learned.network, shop.classes, learned.probe.head)
    facts = {'source_why': chosen.why, 'device': shop.device.type, 'batch': shop.spec.batch} | outcome.facts
    verdict = Verdict(
        chosen.source,
        outcome.logits if finetuned else learned.probe.logits,
        'finetuned' if finetuned else 'linear',
        outcome.why,
        chosen.ranking,
        chosen.probes,
        forecast,
        dataclasses.asdict(plan) | facts,
        outcome.curve,
    )
    with shop.course.phase('seal', 'Sealing the model'):
        return _seal(shop, learned, model, verdict, workdir / 'sealed', provisional=False)


def _seal(
    shop: TrainingContext,
    learned: ProbedSource,
    model: nn.Module,
    verdict: Verdict,
    folder: Path,
    *,
    provisional: bool,
) -> SealedModel:
    report = write_report(shop, verdict)
    spread = np.unique(np.linspace(0, len(shop.labels) - 1, SAMPLE).round().astype(int))
    return seal(
        folder,
        model,
        labels=shop.manifest.labels,
        preprocessing=Preprocessing.of(learned.network.source),
        temperature=report.calibration['temperature'],
        source=learned.network.source,
        why=verdict.plan.get('source_why', verdict.why),
        spec=shop.spec,
        report=report,
        sample=np.ascontiguousarray(learned.pixels.array[spread]),
        provisional=provisional,
    )
