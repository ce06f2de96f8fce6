"""The method for detectors, from boxed photos to a sealed model."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch

from transfer.data.decode import Upright, decode_whole
from transfer.data.detection_splits import split, trainable
from transfer.data.manifests import BoxedImage, DetectionManifest
from transfer.detection import export
from transfer.detection.backbone_export import write_source
from transfer.detection.crops import cut_out
from transfer.detection.registry import Lesson, Trained, as_often, fitted, kind_of, learn, limit_of
from transfer.detection.report import best_score, figures, truth_of
from transfer.finetune.flops import count_multiply_adds
from transfer.finetune.plan import HEAVY
from transfer.regions.postprocess import Detections
from transfer.regions.proposals import propose_all, recall
from transfer.runtime.device import choose_device
from transfer.runtime.loss_curve import LossCurve
from transfer.runtime.progress import ProgressTracker
from transfer.selection.choose import (
    Preference,
    SourceChoice,
    choose_source,
    probe_first_usable,
    rank_sources,
)
from transfer.selection.context import ProbedSource, TrainingContext
from transfer.serving.artifacts import (
    Meta,
    Preprocessing,
    slim_spec,
    without_signature,
    write_meta,
    written_aside,
)
from transfer.serving.detector import finder, seconds_of
from transfer.serving.export import versions
from transfer.spec.errors import UnusableSourceError
from transfer.spec.report import Progress, Report, SealedModel, TrainReport
from transfer.spec.train_spec import SourceModelSpec, TrainSpec
from transfer.zoo.networks.backbone import convolutional_body
from transfer.zoo.networks.registry import architecture

# Share of a training, without the refit, that each phase takes, for the bar and the first guess (200 photos on two cores).
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
CHECKED = 4  # photos on which the sealed graphs are compared with torch


def train(
    manifest: DetectionManifest, spec: TrainSpec, workdir: Path, report: Report, cache: Path
) -> SealedModel:
    """Learn a detector from the manifest's boxes; returns the sealed model, in a folder of `workdir`.

    It learns from some of the images and is measured on the others (`held_out`); then, with `refit`, another learns from all
    of them, and meanwhile the measured one answers. Resuming, `cache` and errors: as transfer.pipeline.train.
    """
    manifest, notes = trainable(manifest)
    room = Room(
        manifest,
        spec,
        choose_device(spec.device),
        workdir,
        cache,
        ProgressTracker(report, _shares(spec)),
        list(notes),
    )
    learned, measured = split(manifest, spec.held_out, spec.seed)
    proposals = _propose(room, learned, measured)
    regions = proposals[: len(learned.images)]
    chosen = _choose_source(room, learned, regions)
    trained = _learn(room, Lesson(learned, regions, chosen.source, workdir / 'checkpoints', room.device))
    outcome = _measure(room, trained, measured, proposals[len(learned.images) :])
    told = _report(room, trained, chosen, outcome)
    if not spec.refit:
        return _seal(room, trained, chosen, outcome, told)
    report.instant(_seal(room, trained, chosen, outcome, told, provisional=True))
    return _seal(room, _refit(room, chosen, learned, measured, proposals), chosen, outcome, told)


def _shares(spec: TrainSpec) -> dict[str, float]:
    if spec.refit:
        return SHARES | {'refit': SHARES['finetune'] / (1 - spec.held_out)}
    return {name: share for name, share in SHARES.items() if name not in REFIT_ALONE}


@dataclass
class Room:
    """What every step of one training works with."""

    manifest: DetectionManifest
    spec: TrainSpec
    device: torch.device
    workdir: Path
    cache: Path
    course: ProgressTracker
    notes: list[str] = field(default_factory=list)
    crops: TrainingContext = field(init=False)  # once what was boxed is cut out

    def __post_init__(self) -> None:
        self.kind = kind_of(self.spec)
        self.options = fitted(self.spec, self.device)
        self.limit = limit_of(self.kind, self.options)
        if self.limit < limit_of(self.kind, self.spec):
            self.notes.append(
                f'Without a GPU R-CNN looks at the best {self.limit} regions of a photo instead of 2,000.'
            )


@dataclass(frozen=True)
class Outcome:
    """The detector on the images that it did not learn from."""

    measured: DetectionManifest
    proposals: Sequence[np.ndarray]
    found: Sequence[Detections]
    seconds: float  # an image, without proposals


class Within:
    """A detector's own report of its progress, as one phase of the whole; its losses make a curve."""

    def __init__(self, course: ProgressTracker, curve: LossCurve) -> None:
        self._course, self._curve = course, curve

    def progress(self, progress: Progress) -> None:
        told = progress.message or None
        if progress.epoch and progress.loss is not None:
            self._curve.note(progress.epoch, progress.loss)
        self._course.beat(
            progress.fraction, told, epoch=progress.epoch, epochs=progress.epochs, loss=progress.loss
        )

    def instant(self, model: SealedModel) -> None:
        """No detector gives one up before it is measured."""


def _propose(room: Room, learned: DetectionManifest, measured: DetectionManifest) -> list[np.ndarray]:
    """Of all images, those to learn from first; kept by digest for later trainings."""
    images = [*learned.images, *measured.images]
    with room.course.phase('proposals', f'Finding where something may be on {len(images)} photos'):
        return propose_all(
            images,
            room.cache,
            room.spec.proposals,
            room.limit,
            done=lambda count: room.course.beat(count / len(images)),
        )


def _choose_source(room: Room, learned: DetectionManifest, proposals: Sequence[np.ndarray]) -> SourceChoice:
    """As for a classifier, on what is in the boxes."""
    with room.course.phase('decode', 'Cutting out what you boxed'):
        crops = cut_out(learned, proposals, room.workdir / 'crops', room.spec.seed, room.course.beat)
    spec = dataclasses.replace(room.spec, sources=_candidates(room))
    room.crops = shop = TrainingContext(crops, spec, room.device, room.cache, room.course, room.notes)
    ranked = rank_sources(shop)
    with room.course.phase('instant', 'Looking at them with the first source'):
        first = probe_first_usable(shop, ranked)
    able = Preference(('looks at a photo more thoroughly',), partial(_work, device=room.device))
    return choose_source(
        shop, ranked, first, None if room.kind == 'rcnn' else able
    )  # R-CNN runs the whole network on every region


def _work(learned: ProbedSource, device: torch.device) -> tuple[float]:
    """Multiply-adds of an image: telling crops apart says little of finding things. Every source tells raccoons from their
    surroundings, yet MobileNetV3-Small (0.06 G) came to a mAP of 0.55 where MobileNetV2 (0.3 G) had come to 0.82; on blood cells
    it came to 0.65, SqueezeNet 1.1 (0.3 G) to 0.71. Of those too heavy for a CPU, the lighter the better.
    """
    macs = count_multiply_adds(learned.network)
    return (-macs if device.type == 'cpu' and macs > HEAVY else macs,)


def _candidates(room: Room) -> tuple[SourceModelSpec, ...]:
    """The sources that can become a detector of the wanted kind; R-CNN takes any."""
    if room.kind == 'rcnn':
        return room.spec.sources
    found = []
    for source in room.spec.sources:
        if why := _unfit(source):
            room.notes.append(f'The source {source.name} was left out: {why}.')
        else:
            found.append(source)
    return tuple(found)


def _unfit(source: SourceModelSpec) -> str:
    try:
        network = architecture(source.architecture)
        convolutional_body(network, network.skeleton(2))
    except UnusableSourceError as error:
        return error.message
    return ''


def _learn(room: Room, lesson: Lesson) -> Trained:
    with room.course.phase(
        'finetune', f'Learning to find: {NAMES[room.kind]} on {len(lesson.manifest.images)} photos'
    ):
        return _taught(room, lesson, room.options)


def _refit(
    room: Room,
    chosen: SourceChoice,
    learned: DetectionManifest,
    measured: DetectionManifest,
    proposals: Sequence[np.ndarray],
) -> Trained:
    """The same recipe on all images, those that were held out too; `proposals` in the order of both together."""
    everything = DetectionManifest(room.manifest.labels, (*learned.images, *measured.images))
    lesson = Lesson(everything, proposals, chosen.source, room.workdir / 'checkpoints' / 'refit', room.device)
    options = as_often(room.kind, room.options, len(learned.images), len(everything.images))
    with room.course.phase(
        'refit', f'It is measured. Now {NAMES[room.kind]} learns from all {len(everything.images)} photos'
    ):
        return _taught(room, lesson, options)


def _taught(room: Room, lesson: Lesson, options: TrainSpec) -> Trained:
    curve = LossCurve(lesson.workdir / 'curve.json')
    trained = learn(room.kind, lesson, options, Within(room.course, curve))
    curve.write()
    return dataclasses.replace(trained, curve=curve.points())


def _measure(
    room: Room, trained: Trained, measured: DetectionManifest, proposals: Sequence[np.ndarray]
) -> Outcome:
    found: list[Detections] = []
    spent = 0.0
    with room.course.phase('evaluate', f'Measuring on {len(measured.images)} photos it has not seen'):
        for image, regions in zip(measured.images, proposals, strict=True):
            photo, begun = _photo(image, trained), time.process_time()
            found.append(trained.find(photo, regions))
            spent += time.process_time() - begun
            room.course.beat(len(found) / len(measured.images))
    return Outcome(measured, proposals, found, spent / max(1, len(found)))


def _photo(image: BoxedImage, trained: Trained) -> Upright:
    return decode_whole(image.path, trained.facts['least_side'])


def _seal(
    room: Room,
    trained: Trained,
    chosen: SourceChoice,
    outcome: Outcome,
    told: TrainReport,
    *,
    provisional: bool = False,
) -> SealedModel:
    """`told` is the report of the detector that was measured, with which one that learned from all images is sealed too."""
    phase = 'provisional' if provisional else 'seal'
    folder, given = (
        room.workdir / ('provisional' if provisional else 'sealed'),
        Preprocessing.of(chosen.source),
    )
    detection = trained.facts | {'kind': trained.kind, 'proposals': room.spec.proposals, 'limit': room.limit}
    with room.course.phase(phase, 'Sealing the model'), written_aside(folder) as aside:
        why_not = trained.write(aside)
        meta = Meta(
            labels=room.manifest.labels,
            architecture=chosen.source.architecture,
            preprocessing=given,
            temperature=1.0,
            engine=_engine(why_not),
            source=without_signature(chosen.source),
            why=chosen.why,
            provisional=provisional,
            spec=slim_spec(room.options),
            data_digest=room.manifest.digest,
            seed=room.spec.seed,
            versions=versions(),
            detection=detection | {'score_threshold': told.detection['score_threshold']},
        )
        meta = dataclasses.replace(meta, engine=_checked(aside, meta, trained, outcome))
        seconds = _seconds_of(aside, meta, outcome)
        known = told.detection | {'final_train_images': trained.images, 'serving_seconds': seconds}
        if trained.curve != told.curve:
            known |= {'refit_curve': trained.curve}
        if not provisional:
            known['backbone'] = write_source(trained.taken(), chosen.source, room.crops, aside)
        report = dataclasses.replace(
            told, detection=known, engine=meta.engine, seconds=_rounded(room.course.seconds)
        )
        meta = dataclasses.replace(
            meta, detection=meta.detection | {'serving_seconds': seconds}, report=report.to_json()
        )
        digest = write_meta(aside, meta)
    return SealedModel(str(folder), digest, report)


def _engine(why_not: str) -> dict[str, Any]:
    return {'name': 'torch' if why_not else 'openvino', 'precision': 'float32', 'why_not': why_not}


def _checked(folder: Path, meta: Meta, trained: Trained, outcome: Outcome) -> dict[str, Any]:
    """The engine, with how near the sealed graphs are to torch on a few photos; torch itself where they are not near."""
    if meta.engine['name'] == 'torch':
        return meta.engine
    find = finder(folder, meta, 'cpu')
    pairs = list(zip(outcome.measured.images[:CHECKED], outcome.proposals, strict=False))
    learned = [trained.find(_photo(image, trained), regions) for image, regions in pairs]
    begun = time.process_time()
    served = [find(_photo(image, trained), regions) for image, regions in pairs]
    seconds = (time.process_time() - begun) / len(served)
    facts = export.compared(learned, served)
    if facts['largest_difference'] > export.CLOSE:
        export.without_graphs(folder)
        return _engine('the converted graphs do not compute what the network computes') | facts
    return meta.engine | facts | {'milliseconds': round(1000 * seconds)}


def _seconds_of(folder: Path, meta: Meta, outcome: Outcome) -> float:
    """What serving will take for a photo: whoever asks for many is told by it to come back for the answer."""
    photos = [Path(image.path).read_bytes() for image in outcome.measured.images[:CHECKED]]
    return round(seconds_of(finder(folder, meta, 'cpu'), photos, meta.detection), 3)


def _report(room: Room, trained: Trained, chosen: SourceChoice, outcome: Outcome) -> TrainReport:
    truths = [truth_of(image).boxes for image in outcome.measured.images]
    known = figures(
        outcome.measured,
        outcome.found,
        recall(truths, outcome.proposals),
        best_score(outcome.measured, outcome.found),
    )
    if trained.kind == 'faster-rcnn':
        known['proposals'] = {}  # its own are not told apart from its answers
    counts = {'train_images': trained.images, 'test_images': len(outcome.measured.images)}
    known |= {'kind': trained.kind, 'seconds': outcome.seconds} | counts
    low, high = known['interval']
    return TrainReport(
        accuracy=known['ap11'],
        interval=(low, high),
        images=len(room.manifest.images),
        labels=room.manifest.labels,
        winner=trained.kind,
        why=_WHY[trained.kind],
        source=chosen.source.name,
        ranking=chosen.ranking,
        probes=chosen.probes,
        curve=trained.curve,
        plan={'source_why': chosen.why, 'device': room.device.type, 'options': trained.facts['spec']},
        notes=tuple(room.notes),
        data_digest=room.manifest.digest,
        seed=room.spec.seed,
        detection=known,
        signature=room.crops.signature,
    )


NAMES = {'rcnn': 'R-CNN', 'fast-rcnn': 'Fast R-CNN', 'faster-rcnn': 'Faster R-CNN'}
_WHY = {
    'rcnn': 'R-CNN looks at each proposed region alone: slow to ask, and sparing with boxes.',
    'fast-rcnn': 'Fast R-CNN looks at a photo once and reads every proposed region from it.',
    'faster-rcnn': 'Faster R-CNN proposes its own regions.',
}


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {name: round(spent, 3) for name, spent in seconds.items()}
