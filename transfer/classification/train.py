"""Train a classifier: choose source models, seal an instant model, finetune, seal the best candidate."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from torch import nn

from transfer.classification.portfolio import Candidate, choose_candidate, make_ensemble
from transfer.classification.report import ReportInputs, write_report
from transfer.data.manifests import Manifest
from transfer.data.splits import keep_trainable_labels
from transfer.features.extract import last_layer
from transfer.features.linear_probe import fit_probe
from transfer.features.metrics import accuracy, format_percent
from transfer.features.network import count_multiply_adds
from transfer.finetune.cross_validation import (
    EpochProgress,
    FinetuneResult,
    FinetuneTask,
    FoldScores,
    attach_head,
    attach_stage_head,
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
from transfer.serving.artifacts import EnsembleMember, Preprocessing
from transfer.serving.ensemble import EnsembleNetwork
from transfer.serving.sealing import seal
from transfer.spec.report import AccuracyForecast, PlanReport, RankingEntry, Report, SealedModel
from transfer.spec.train_spec import TrainSpec

CHECKED_IMAGES = 32  # on which the sealed graph is compared with torch
# Below, finetuning could correct them all and still be better by chance only: one time in sixteen four images
# of four change for the better (sign test).
LEAST_MISTAKES = 4
NETWORKS = 3  # that answer together at most: each is one more pass for every photo that is classified


@dataclass(frozen=True)
class ServedModel:
    """A network to seal, and how it is described."""

    network: nn.Module
    members: tuple[EnsembleMember, ...] = ()
    stage_features: int = 0


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
    choice = choose_source(context, ranked, first, networks=NETWORKS if spec.prefer == 'accurate' else 1)
    forecast = forecast_accuracy(context, choice)
    plan, candidate, result = _choose_classifier(context, choice, workdir / 'checkpoints')
    return _seal_best(context, choice, forecast, plan, candidate, result, workdir / 'sealed')


def _seal_instant(
    context: TrainingContext, probed: ProbedSource, ranking: tuple[RankingEntry, ...], folder: Path
) -> SealedModel:
    source = probed.network.source
    why = f'A linear model on the frozen features of {source.title or source.name}, ready at once.'
    inputs = ReportInputs(source, probed.probe.logits, 'linear', why, ranking)
    served = _build_linear(context, probed)
    return _seal(context, probed, served, inputs, folder, provisional=not context.spec.instant_only)


def _choose_classifier(
    context: TrainingContext, choice: SourceChoice, folder: Path
) -> tuple[Plan, Candidate, FinetuneResult]:
    """The best of the linear heads, and of what finetuning makes of them, unless the plan is to finetune
    nothing or the linear heads make hardly a mistake."""
    best = choice.probed
    scores = [probed.probe.logits for probed in (best, *choice.others)]
    kept, frozen_why = choose_candidate(_list_frozen(choice, scores, context.labels), context.labels)
    macs = count_multiply_adds(best.network) if context.device.type == 'cpu' else 0.0
    groups = list_layer_groups(best.network)
    instant_accuracy = accuracy(best.probe.logits, context.labels)
    plan = choose_plan(context.spec, groups, len(context.labels), context.classes, instant_accuracy, macs)
    nothing = np.empty((0, context.classes))
    if not plan.epochs:
        return plan, kept, FinetuneResult(None, nothing, f'{plan.why} {frozen_why}')
    mistakes = int((kept.logits.argmax(1) != context.labels).sum())
    if mistakes < LEAST_MISTAKES and context.spec.plan == 'auto':
        count = f'{mistakes or "no"} mistake{"" if mistakes == 1 else "s"}'
        why = f'{frozen_why} It makes {count}: too few for finetuning.'
        return plan, kept, FinetuneResult(None, nothing, why)
    task = _make_finetune_task(context, best, plan, macs)
    # By the groups: a run of another assignment to folds must not be continued.
    folder /= hashlib.sha256('\n'.join(task.groups).encode()).hexdigest()[:16]

    def decide(scores: FoldScores) -> tuple[bool, str]:
        nonlocal kept
        candidates = _list_candidates(context, choice, scores)
        given_up = len(scores.rows) < len(context.labels)
        chosen, why = choose_candidate(candidates, context.labels[scores.rows], given_up=given_up)
        if chosen.is_finetuned:
            kept = chosen
            return True, why
        # Which of the frozen ones is kept was settled above, on more folds and all images.
        share = format_percent(accuracy(scores.finetuned, context.labels[scores.rows]))
        outcome = 'was given up' if given_up else 'does not improve that'
        facts = f'the finetuned network classified {share} of {len(scores.rows)} images correctly'
        return False, f'{frozen_why} Finetuning {outcome}: {facts}.'

    def report(done: float, progress: EpochProgress) -> None:
        context.tracker.update(done, **dataclasses.asdict(progress))

    with context.tracker.phase('finetune', f'Finetuning: {plan.why}'):
        result = finetune(task, context.machine, folder, report, decide)
    return plan, kept, result


def _make_finetune_task(
    context: TrainingContext, probed: ProbedSource, plan: Plan, macs: float
) -> FinetuneTask:
    return FinetuneTask(
        network=probed.network,
        pixels=probed.pixels,
        features=last_layer(probed.network, probed.features),
        labels=context.labels,
        classes=context.classes,
        spec=context.spec,
        plan=plan,
        groups=context.group_images(probed.pixels),
        macs=macs,
    )


def _list_candidates(context: TrainingContext, choice: SourceChoice, scores: FoldScores) -> list[Candidate]:
    """All candidates by their scores on the folds of a finetuning, from cheap to dear.

    Each was trained on the same images and scored on the same others.
    """
    labels = context.labels[scores.rows]
    heads = [
        fit_probe(probed.features, context.labels, context.classes, scores.folds).logits[scores.rows]
        for probed in (choice.probed, *choice.others)
    ]
    linear, *ensemble = _list_frozen(choice, heads, labels)
    finetuned = Candidate('finetuned', 'the finetuned network', scores.finetuned)
    if not ensemble:
        return [linear, finetuned]
    others = 'one other' if len(choice.others) == 1 else f'{len(choice.others)} others'
    title = f'the finetuned network together with {others}'
    together = make_ensemble('finetuned ensemble', title, [scores.finetuned, *heads[1:]], labels)
    return [linear, finetuned, *ensemble, together]


def _list_frozen(choice: SourceChoice, scores: Sequence[np.ndarray], labels: np.ndarray) -> list[Candidate]:
    """The candidates that finetune nothing: the chosen source's linear head, and it with those of others."""
    linear = Candidate('linear', 'a linear head', scores[0])
    if not choice.others:
        return [linear]
    title = f'linear heads of {len(scores)} networks together'
    return [linear, make_ensemble('ensemble', title, scores, labels)]


def _seal_best(
    context: TrainingContext,
    choice: SourceChoice,
    forecast: AccuracyForecast,
    plan: Plan,
    candidate: Candidate,
    result: FinetuneResult,
    folder: Path,
) -> SealedModel:
    inputs = ReportInputs(
        choice.source,
        candidate.logits,
        candidate.kind,
        result.why,
        choice.ranking,
        choice.probes,
        forecast,
        _report_plan(context, choice, plan, result),
        result.curve,
    )
    served = _build_served(context, choice, candidate, result)
    with context.tracker.phase('seal', 'Sealing the model'):
        return _seal(context, choice.probed, served, inputs, folder, provisional=False)


def _build_served(
    context: TrainingContext, choice: SourceChoice, candidate: Candidate, result: FinetuneResult
) -> ServedModel:
    first = ServedModel(result.model) if result.model else _build_linear(context, choice.probed)
    if not candidate.temperatures:
        return first
    parts = [first, *(_build_linear(context, other) for other in choice.others)]
    probed = (choice.probed, *choice.others)
    members = tuple(
        EnsembleMember(
            source=each.network.source.name,
            architecture=each.network.source.architecture,
            mean=tuple(each.network.source.mean),
            std=tuple(each.network.source.std),
            temperature=temperature,
            stage_features=part.stage_features,
        )
        for each, part, temperature in zip(probed, parts, candidate.temperatures, strict=True)
    )
    networks = [part.network for part in parts]
    return ServedModel(EnsembleNetwork(networks, members, Preprocessing.of(choice.source)), members)


def _build_linear(context: TrainingContext, probed: ProbedSource) -> ServedModel:
    """The frozen network under its linear head."""
    network, head = probed.network, probed.probe.head
    if not probed.has_stage_head:
        return ServedModel(attach_head(network, context.classes, head))
    features = last_layer(network, probed.features)
    last = fit_probe(features, context.labels, context.classes, probed.folds).head
    model = attach_stage_head(network, context.classes, head, last)
    return ServedModel(model, stage_features=head.weight.shape[1])


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
    served: ServedModel,
    inputs: ReportInputs,
    folder: Path,
    *,
    provisional: bool,
) -> SealedModel:
    inputs = dataclasses.replace(inputs, members=tuple(member.source for member in served.members))
    report, temperature = write_report(context, inputs)
    rows = np.unique(np.linspace(0, len(context.labels) - 1, CHECKED_IMAGES).round().astype(int))
    source = probed.network.source
    return seal(
        folder,
        served.network,
        labels=context.manifest.labels,
        preprocessing=Preprocessing.of(source),
        temperature=temperature,
        source=source,
        members=served.members,
        stage_features=served.stage_features,
        why=inputs.plan.source_why if inputs.plan else inputs.why,
        spec=context.spec,
        report=report,
        sample=np.ascontiguousarray(probed.pixels.array[rows]),
        provisional=provisional,
    )
