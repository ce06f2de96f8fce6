"""The detectors behind one face: trained from the same things, asked in the same way, sealed in the same way."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from transfer.data.manifests import DetectionManifest
from transfer.detection import export
from transfer.detection.backbone_export import body_taken, fast_taken, whole_taken
from transfer.detection.fast_rcnn import detector as fast_detector
from transfer.detection.fast_rcnn import train as fast_training
from transfer.detection.faster_rcnn import model as faster_detector
from transfer.detection.faster_rcnn import train as faster_training
from transfer.detection.rcnn import detector as rcnn_detector
from transfer.detection.rcnn import regions as rcnn_regions
from transfer.detection.rcnn import train as rcnn_training
from transfer.regions.postprocess import as_shares
from transfer.serving.artifacts import Preprocessing
from transfer.serving.detector import FoundBy
from transfer.spec.errors import InvalidSpecError
from transfer.spec.report import Report
from transfer.spec.train_spec import SourceModelSpec, TrainSpec

DEFAULT = 'fast-rcnn'


@dataclass(frozen=True)
class Lesson:
    """What a detector learns from."""

    manifest: DetectionManifest
    proposals: Sequence[np.ndarray]  # of its images, in order
    source: SourceModelSpec
    workdir: Path  # checkpoints
    device: torch.device


@dataclass(frozen=True)
class Trained:
    """A detector in memory."""

    kind: str  # rcnn, fast-rcnn, faster-rcnn
    images: int  # that it learned from
    find: FoundBy
    write: Callable[[Path], str]  # weights and graphs into a folder; why there are no graphs, or ''
    facts: dict[str, Any]  # what rebuilds it and feeds it: Meta.detection
    taken: Callable[[], nn.Module]  # its body in a network like its source
    curve: list[dict[str, Any]] = field(default_factory=list)  # its loss by pass: TrainReport.curve


def kind_of(spec: TrainSpec) -> str:
    """The detector that is meant. InvalidSpecError for one that is not there yet."""
    kind = DEFAULT if spec.detector == 'auto' else spec.detector
    if kind not in WAYS:
        raise InvalidSpecError(f'detector must be one of {", ".join(WAYS)}', 'detector')
    return kind


def fitted(spec: TrainSpec, device: torch.device) -> TrainSpec:
    """The spec as this machine can do it: without a GPU R-CNN looks at fewer regions and Fast R-CNN at smaller photos."""
    if device.type == 'cuda':
        return spec
    rcnn = dataclasses.replace(spec.rcnn, proposals=min(spec.rcnn.proposals, spec.rcnn.cpu_proposals))
    fast, faster = spec.fast_rcnn, spec.faster_rcnn
    fast = dataclasses.replace(fast, short_side=min(fast.short_side, fast.cpu_short_side))
    faster = dataclasses.replace(faster, short_side=min(faster.short_side, faster.cpu_short_side))
    return dataclasses.replace(spec, rcnn=rcnn, fast_rcnn=fast, faster_rcnn=faster)


def limit_of(kind: str, spec: TrainSpec) -> int:
    """How many proposals an image the detector looks at."""
    return spec.rcnn.proposals if kind == 'rcnn' else spec.fast_rcnn.proposals


def as_often(kind: str, spec: TrainSpec, images: int, more: int) -> TrainSpec:
    """The spec by which `more` images are looked at as often as `images` are by this one."""
    rcnn, fast, faster = spec.rcnn, spec.fast_rcnn, spec.faster_rcnn
    if kind == 'rcnn':
        return dataclasses.replace(
            spec, rcnn=dataclasses.replace(rcnn, steps=round(rcnn.steps * more / images))
        )
    if kind == 'fast-rcnn':
        heads = round(fast.head_steps * more / images)
        fast = dataclasses.replace(fast, epochs=fast_training.epochs_of(images, fast), head_steps=heads)
        return dataclasses.replace(spec, fast_rcnn=fast)
    epochs = faster_training.epochs_of(images, faster)
    return dataclasses.replace(spec, faster_rcnn=dataclasses.replace(faster, epochs=epochs))


def learn(kind: str, lesson: Lesson, spec: TrainSpec, report: Report) -> Trained:
    """TrainingError when no image has a box; JobCancelledError from the report."""
    return WAYS[kind](lesson, spec, report)


def _fast_rcnn(lesson: Lesson, spec: TrainSpec, report: Report) -> Trained:
    options, source, device = (
        dataclasses.replace(spec.fast_rcnn, seed=spec.seed),
        lesson.source,
        lesson.device.type,
    )
    checkpoint = lesson.workdir / 'fast-rcnn.safetensors'
    model = fast_training.train(
        lesson.manifest, lesson.proposals, source, options, report, device, checkpoint
    )
    return Trained(
        'fast-rcnn',
        len(lesson.manifest.images),
        lambda photo, proposals: fast_detector.detect(model, photo, proposals, options, source),
        lambda folder: export.write_fast(model, Preprocessing.of(source), folder),
        {
            'spec': dataclasses.asdict(options),
            'stride': model.stride,
            'channels': model.channels,
            'least_side': options.short_side,
        },
        lambda: fast_taken(source, model),
    )


def _rcnn(lesson: Lesson, spec: TrainSpec, report: Report) -> Trained:
    options, source, device = (
        dataclasses.replace(spec.rcnn, seed=spec.seed),
        lesson.source,
        lesson.device.type,
    )
    trained = rcnn_training.train(
        lesson.manifest, lesson.proposals, source, options, lesson.workdir, report, device
    )
    return Trained(
        'rcnn',
        len(lesson.manifest.images),
        lambda photo, proposals: as_shares(rcnn_detector.detect(trained, photo, proposals)),
        lambda folder: export.write_rcnn(trained, Preprocessing.of(source), folder),
        {'spec': dataclasses.asdict(options), 'least_side': rcnn_regions.LEAST},
        lambda: whole_taken(source, trained.model),
    )


def _faster_rcnn(lesson: Lesson, spec: TrainSpec, report: Report) -> Trained:
    options, source, device = (
        dataclasses.replace(spec.faster_rcnn, seed=spec.seed),
        lesson.source,
        lesson.device.type,
    )
    checkpoint = lesson.workdir / 'faster-rcnn.safetensors'
    model = faster_training.train(lesson.manifest, source, options, report, device, checkpoint)

    def write(folder: Path) -> str:
        export.write_weights(model, folder)
        return 'Faster R-CNN proposes its own regions, which graphs do not hold: torch serves it'

    facts = {'spec': dataclasses.asdict(options), 'least_side': options.short_side}
    return Trained(
        'faster-rcnn',
        len(lesson.manifest.images),
        lambda photo, proposals: faster_detector.detect(model, photo),
        write,
        facts,
        lambda: body_taken(source, model.backbone.body),
    )


WAYS: dict[str, Callable[[Lesson, TrainSpec, Report], Trained]] = {
    'rcnn': _rcnn,
    'fast-rcnn': _fast_rcnn,
    'faster-rcnn': _faster_rcnn,
}
