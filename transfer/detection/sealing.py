"""Seal a trained detector: weights, graphs that are compared with torch, and its report."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

from transfer.data.decode import decode_image
from transfer.detection import export
from transfer.detection.backbone_export import write_source
from transfer.detection.context import DetectionContext, Evaluation
from transfer.detection.detector import TrainedDetector
from transfer.runtime.atomic_write import replace_folder
from transfer.selection.choose import SourceChoice
from transfer.serving.artifacts import (
    ArtifactMeta,
    DetectorMeta,
    Preprocessing,
    omit_signature,
    omit_signatures,
    write_meta,
)
from transfer.serving.detector import load_inference, measure_seconds
from transfer.serving.export import versions
from transfer.spec.report import EngineInfo, SealedModel, TrainReport

CHECKED = 4  # photos on which the sealed graphs are compared with torch


def seal(
    context: DetectionContext,
    trained: TrainedDetector,
    chosen: SourceChoice,
    evaluation: Evaluation,
    report: TrainReport,
    *,
    provisional: bool = False,
) -> SealedModel:
    """Write the artifact into a folder of the workdir.

    `report`: of the detector that was evaluated; one that was trained on all images afterwards is sealed with
    it too.
    """
    folder = context.workdir / ('provisional' if provisional else 'sealed')
    with (
        context.tracker.phase('provisional' if provisional else 'seal', 'Sealing the model'),
        replace_folder(folder) as aside,
    ):
        why_not = trained.export(aside)
        meta = _describe_artifact(context, trained, chosen, report, why_not, provisional=provisional)
        meta = dataclasses.replace(meta, engine=_check_graphs(aside, meta, trained, evaluation))
        seconds = _measure_seconds(aside, meta, evaluation)
        backbone = None if provisional else _write_backbone(context, trained, chosen, aside)
        report = _complete_report(report, context, trained, meta.engine, seconds, backbone)
        known = dataclasses.replace(meta.detector, serving_seconds=seconds)
        meta = dataclasses.replace(meta, detection=known, report=report.to_json())
        digest = write_meta(aside, meta)
    return SealedModel(str(folder), digest, report)


def _describe_artifact(
    context: DetectionContext,
    trained: TrainedDetector,
    chosen: SourceChoice,
    report: TrainReport,
    why_not: str,
    *,
    provisional: bool,
) -> ArtifactMeta:
    """What is known before the graphs are checked; `why_not`: why there are none."""
    assert report.detection is not None  # every detector has figures
    return ArtifactMeta(
        labels=context.manifest.labels,
        architecture=chosen.source.architecture,
        preprocessing=Preprocessing.of(chosen.source),
        temperature=1.0,
        engine=EngineInfo('torch' if why_not else 'openvino', why_not=why_not),
        source=omit_signature(chosen.source),
        why=chosen.why,
        provisional=provisional,
        spec=omit_signatures(context.adapted_spec()),
        data_digest=context.manifest.digest,
        seed=context.spec.seed,
        versions=versions(),
        detection=_describe_detector(context, trained, report.detection.score_threshold),
    )


def _write_backbone(
    context: DetectionContext, trained: TrainedDetector, chosen: SourceChoice, folder: Path
) -> str:
    """Write the backbone as a source model; returns why it could not be made, or ''."""
    return write_source(trained.build_source_network(), chosen.source, context.crops, folder)


def _complete_report(
    report: TrainReport,
    context: DetectionContext,
    trained: TrainedDetector,
    engine: EngineInfo,
    seconds: float,
    backbone: str | None,
) -> TrainReport:
    """The report of the evaluated detector with what is known of the one that is sealed."""
    assert report.detection is not None
    figures = dataclasses.replace(
        report.detection,
        final_train_images=trained.images,
        serving_seconds=seconds,
        refit_curve=None if trained.curve == report.curve else trained.curve,
        backbone=backbone,
    )
    spent = {phase: round(seconds, 3) for phase, seconds in context.tracker.seconds.items()}
    return dataclasses.replace(report, detection=figures, engine=engine, seconds=spent)


def _describe_detector(
    context: DetectionContext, trained: TrainedDetector, score_threshold: float
) -> DetectorMeta:
    return DetectorMeta(
        kind=context.info.kind,
        spec=dataclasses.asdict(trained.options),
        least_side=trained.least_side,
        proposals=context.spec.proposals,
        limit=context.proposal_limit,
        score_threshold=score_threshold,
        stride=trained.stride,
        channels=trained.channels,
    )


def _check_graphs(
    folder: Path, meta: ArtifactMeta, trained: TrainedDetector, evaluation: Evaluation
) -> EngineInfo:
    """The engine, with how near the graphs are to torch on a few photos.

    Torch itself where they are not near.
    """
    if meta.engine.name == 'torch':
        return meta.engine
    infer = load_inference(folder, meta, 'cpu')
    pairs = [
        (decode_image(image.path, trained.least_side), regions)
        for image, regions in zip(evaluation.manifest.images[:CHECKED], evaluation.proposals, strict=False)
    ]
    by_torch = [trained.infer(photo, regions) for photo, regions in pairs]
    started = time.process_time()
    by_graphs = [infer(photo, regions) for photo, regions in pairs]
    seconds = (time.process_time() - started) / len(by_graphs)
    check = export.compare_detections(by_torch, by_graphs)
    if check.largest_difference > export.CLOSE:
        export.delete_graphs(folder)
        why_not = 'the converted graphs do not compute what the network computes'
        return EngineInfo('torch', why_not=why_not, **dataclasses.asdict(check))
    return dataclasses.replace(meta.engine, **dataclasses.asdict(check), milliseconds=round(1000 * seconds))


def _measure_seconds(folder: Path, meta: ArtifactMeta, evaluation: Evaluation) -> float:
    """What serving will take for a photo: a request for many is answered by a job because of it."""
    photos = [Path(image.path).read_bytes() for image in evaluation.manifest.images[:CHECKED]]
    return round(measure_seconds(load_inference(folder, meta, 'cpu'), photos, meta.detector), 3)
