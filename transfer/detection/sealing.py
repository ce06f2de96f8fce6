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
    Preprocessing,
    omit_signature,
    omit_signatures,
    write_meta,
)
from transfer.serving.detector import load_inference, measure_seconds
from transfer.serving.export import versions
from transfer.spec.report import SealedModel, TrainReport

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
    name = 'provisional' if provisional else 'sealed'
    folder = context.workdir / name
    known = trained.metadata | {
        'kind': context.info.kind,
        'proposals': context.spec.proposals,
        'limit': context.proposal_limit,
        'score_threshold': report.detection['score_threshold'],
    }
    with (
        context.tracker.phase('provisional' if provisional else 'seal', 'Sealing the model'),
        replace_folder(folder) as aside,
    ):
        why_not = trained.export(aside)
        meta = ArtifactMeta(
            labels=context.manifest.labels,
            architecture=chosen.source.architecture,
            preprocessing=Preprocessing.of(chosen.source),
            temperature=1.0,
            engine=_engine(why_not),
            source=omit_signature(chosen.source),
            why=chosen.why,
            provisional=provisional,
            spec=omit_signatures(context.options),
            data_digest=context.manifest.digest,
            seed=context.spec.seed,
            versions=versions(),
            detection=known,
        )
        meta = dataclasses.replace(meta, engine=_check_graphs(aside, meta, trained, evaluation))
        seconds = _measure_seconds(aside, meta, evaluation)
        detection = report.detection | {'final_train_images': trained.images, 'serving_seconds': seconds}
        if trained.curve != report.curve:
            detection |= {'refit_curve': [point.to_json() for point in trained.curve]}
        if not provisional:
            network = trained.build_source_network()
            detection['backbone'] = write_source(network, chosen.source, context.crops, aside)
        report = dataclasses.replace(
            report,
            detection=detection,
            engine=meta.engine,
            seconds={phase: round(spent, 3) for phase, spent in context.tracker.seconds.items()},
        )
        meta = dataclasses.replace(
            meta, detection=known | {'serving_seconds': seconds}, report=report.to_json()
        )
        digest = write_meta(aside, meta)
    return SealedModel(str(folder), digest, report)


def _engine(why_not: str) -> dict[str, object]:
    return {'name': 'torch' if why_not else 'openvino', 'precision': 'float32', 'why_not': why_not}


def _check_graphs(
    folder: Path, meta: ArtifactMeta, trained: TrainedDetector, evaluation: Evaluation
) -> dict[str, object]:
    """The engine, with how near the graphs are to torch on a few photos.

    Torch itself where they are not near.
    """
    if meta.engine['name'] == 'torch':
        return meta.engine
    infer = load_inference(folder, meta, 'cpu')
    pairs = [
        (decode_image(image.path, trained.metadata['least_side']), regions)
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
        return _engine(why_not) | dataclasses.asdict(check)
    return meta.engine | dataclasses.asdict(check) | {'milliseconds': round(1000 * seconds)}


def _measure_seconds(folder: Path, meta: ArtifactMeta, evaluation: Evaluation) -> float:
    """What serving will take for a photo: a request for many is answered by a job because of it."""
    photos = [Path(image.path).read_bytes() for image in evaluation.manifest.images[:CHECKED]]
    return round(measure_seconds(load_inference(folder, meta, 'cpu'), photos, meta.detection), 3)
