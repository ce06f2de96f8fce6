"""Train a detector, from photos with boxes to a sealed model."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transfer.data.alignment import SIDE
from transfer.data.cache import open_pixels
from transfer.data.decode import decode_image
from transfer.data.detection_splits import keep_trainable_box_labels, split_manifest
from transfer.data.duplicates_report import report_near_duplicates
from transfer.data.manifests import DetectionManifest, LabelledImage, Manifest
from transfer.data.near_duplicates import DuplicateGroups, find_near_duplicates
from transfer.detection.context import DetectionContext, Evaluation, PhaseReport
from transfer.detection.detector import DetectorTrainingData, TrainedDetector
from transfer.detection.report import compute_figures, read_ground_truth
from transfer.detection.sealing import seal
from transfer.detection.source_choice import choose_detector_source
from transfer.regions.postprocess import Detections
from transfer.regions.proposals import measure_recall, propose_all
from transfer.runtime.device import choose_device
from transfer.runtime.loss_curve import LossCurve
from transfer.runtime.progress import ProgressTracker
from transfer.selection.choose import SourceChoice
from transfer.spec.report import PlanReport, Report, SealedModel, TrainReport
from transfer.spec.train_spec import TrainSpec

# Share of a training, without the refit, that each phase takes, for the progress bar and the first estimate
# (200 photos on two cores).
SHARES = {
    'proposals': 0.06,
    'decode': 0.01,
    'reference': 0.02,
    'rank': 0.01,
    'instant': 0.02,
    'probe': 0.05,
    'finetune': 0.75,
    'evaluate': 0.05,
    'provisional': 0.03,
    'refit': 0.75,  # as finetuning; but it sees more photos
    'seal': 0.03,
}
REFIT_ALONE = ('provisional', 'refit')


def train(
    manifest: DetectionManifest, spec: TrainSpec, workdir: Path, report: Report, cache: Path
) -> SealedModel:
    """Train a detector on the manifest's boxes and seal it in a folder of `workdir`.

    It is trained on some of the images and evaluated on the others (`held_out`); then, with `refit`, another
    is trained on all of them, and until it is there the evaluated one is served. Resuming, `cache` and
    errors: as transfer.pipeline.train.
    """
    manifest, notes = keep_trainable_box_labels(manifest)
    tracker = ProgressTracker(report, phase_shares(spec))
    context = DetectionContext(
        manifest, spec, choose_device(spec.device), workdir, cache, tracker, list(notes)
    )
    duplicates = _group_photos(context)
    training, held_out = split_manifest(manifest, spec.held_out, spec.seed, duplicates.groups)
    # By the split: a detector of another one must not be continued.
    context.checkpoints = workdir / 'checkpoints' / training.digest[:16]
    proposals = _propose(context, training, held_out)
    group_of = dict(zip((image.digest for image in manifest.images), duplicates.groups, strict=True))
    chosen = choose_detector_source(context, training, proposals[: len(training.images)], group_of)
    trained = _train_detector(context, chosen, training, proposals[: len(training.images)])
    evaluation = _evaluate(context, trained, held_out, proposals[len(training.images) :])
    summary = _summarise(context, trained, chosen, evaluation, duplicates)
    if not spec.refit:
        return seal(context, trained, chosen, evaluation, summary)
    report.instant(seal(context, trained, chosen, evaluation, summary, provisional=True))
    refitted = _refit(context, chosen, training, held_out, proposals)
    return seal(context, refitted, chosen, evaluation, summary)


def phase_shares(spec: TrainSpec) -> dict[str, float]:
    """Share of the whole training that each of its phases takes."""
    if spec.refit:
        return SHARES | {'refit': SHARES['finetune'] / (1 - spec.held_out)}
    return {name: share for name, share in SHARES.items() if name not in REFIT_ALONE}


def _group_photos(context: DetectionContext) -> DuplicateGroups:
    """The near-duplicates among the photos, at most half of all in one group."""
    images = [LabelledImage(image.path, 0, image.digest, image.name) for image in context.manifest.images]
    with context.tracker.phase('proposals', 'Comparing the photos with one another'):
        pixels = open_pixels(
            Manifest(('photo',), tuple(images)), SIDE, context.cache / 'pixels', context.tracker.update
        )
        return find_near_duplicates(pixels.array, pixels.digests, np.zeros(len(images), int))


def _propose(
    context: DetectionContext, training: DetectionManifest, held_out: DetectionManifest
) -> list[np.ndarray]:
    """Proposals of all images, those of the training first; cached by digest for later trainings."""
    images = [*training.images, *held_out.images]
    with context.tracker.phase('proposals', f'Proposing regions on {len(images)} photos'):
        return propose_all(
            images,
            context.cache,
            context.spec.proposals,
            context.proposal_limit,
            done=lambda count: context.tracker.update(count / len(images)),
        )


def _train_detector(
    context: DetectionContext,
    chosen: SourceChoice,
    training: DetectionManifest,
    proposals: Sequence[np.ndarray],
) -> TrainedDetector:
    data = DetectorTrainingData(training, proposals, chosen.source, context.checkpoints, context.device)
    message = f'Training {context.info.name} on {len(training.images)} photos'
    with context.tracker.phase('finetune', message):
        return _train_with_curve(context, data, context.options)


def _refit(
    context: DetectionContext,
    chosen: SourceChoice,
    training: DetectionManifest,
    held_out: DetectionManifest,
    proposals: Sequence[np.ndarray],
) -> TrainedDetector:
    """The same recipe on all images, the held-out ones included.

    `proposals` in the order of both together.
    """
    everything = DetectionManifest(context.manifest.labels, (*training.images, *held_out.images))
    data = DetectorTrainingData(
        everything, proposals, chosen.source, context.checkpoints / 'refit', context.device
    )
    options = context.detector.scale_schedule(context.options, len(training.images), len(everything.images))
    message = (
        f'The detector is evaluated. Training {context.info.name} on all {len(everything.images)} photos'
    )
    with context.tracker.phase('refit', message):
        return _train_with_curve(context, data, options)


def _train_with_curve(context: DetectionContext, data: DetectorTrainingData, options: Any) -> TrainedDetector:
    curve = LossCurve(data.workdir / 'curve.json')
    trained = context.detector.train(data, options, PhaseReport(context.tracker, curve))
    curve.write()
    return dataclasses.replace(trained, curve=curve.points())


def _evaluate(
    context: DetectionContext,
    trained: TrainedDetector,
    held_out: DetectionManifest,
    proposals: Sequence[np.ndarray],
) -> Evaluation:
    detections: list[Detections] = []
    seconds = 0.0
    with context.tracker.phase('evaluate', f'Evaluating on {len(held_out.images)} held-out photos'):
        for image, regions in zip(held_out.images, proposals, strict=True):
            photo = decode_image(image.path, trained.least_side)
            started = time.process_time()
            detections.append(trained.infer(photo, regions))
            seconds += time.process_time() - started
            context.tracker.update(len(detections) / len(held_out.images))
    return Evaluation(held_out, proposals, detections, seconds / max(1, len(detections)))


def _summarise(
    context: DetectionContext,
    trained: TrainedDetector,
    chosen: SourceChoice,
    evaluation: Evaluation,
    duplicates: DuplicateGroups,
) -> TrainReport:
    """The report of the evaluated detector, before it is sealed."""
    held_out = evaluation.manifest
    truths = [read_ground_truth(image).boxes for image in held_out.images]
    figures = compute_figures(
        context.info.kind,
        held_out,
        evaluation.detections,
        # A detector's own proposals cannot be told from its detections.
        None if context.info.proposes_regions else measure_recall(truths, evaluation.proposals),
        seconds=evaluation.seconds,
        train_images=trained.images,
    )
    return TrainReport(
        accuracy=figures.ap11,
        interval=figures.interval,
        images=len(context.manifest.images),
        labels=context.manifest.labels,
        winner=context.info.kind,
        why=context.info.why,
        source=chosen.source.name,
        ranking=chosen.ranking,
        probes=chosen.probes,
        curve=trained.curve,
        plan=PlanReport(chosen.why, context.device.type, options=trained.options),
        notes=tuple(context.notes),
        data_digest=context.manifest.digest,
        seed=context.spec.seed,
        detection=figures,
        signature=context.crops.signature,
        near_duplicates=report_near_duplicates(
            duplicates, context.manifest.images, [0] * len(context.manifest.images), ['']
        ),
    )
