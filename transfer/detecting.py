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

from transfer import detector_graphs, exporting
from transfer.artifacts import Meta, Preprocessing, slim_spec, without_signature, write_meta, written_aside
from transfer.choosing import Chosen, Preference, choose, learn_first, rank_sources
from transfer.data.decode import Upright, decode_whole
from transfer.data.detection_manifest import BoxedImage, DetectionManifest
from transfer.data.detection_splits import split, trainable
from transfer.detection_crops import cut_out
from transfer.detection_report import best_score, figures, truth_of
from transfer.detections import Detections
from transfer.detector_serving import finder
from transfer.detectors import Lesson, Trained, fitted, kind_of, learn, limit_of
from transfer.device import choose_device
from transfer.finetune.cost import multiply_adds
from transfer.finetune.rates import HEAVY
from transfer.progress import Course
from transfer.proposals import propose_all, recall
from transfer.spec import Progress, Report, SealedModel, SourceCard, TrainReport, TrainSpec, UnusableSource
from transfer.workshop import Learned, Workshop
from transfer.zoo.bodies import convolutional_body
from transfer.zoo.registry import architecture

# Share of a whole training that each phase takes, for the bar and the first guess (200 photos on two cores).
SHARES = {
    'proposals': 0.06,
    'decode': 0.01,
    'reference': 0.02,
    'rank': 0.01,
    'instant': 0.02,
    'probe': 0.05,
    'finetune': 0.75,
    'evaluate': 0.05,
    'seal': 0.03,
}
CHECKED = 4  # photos on which the sealed graphs are compared with torch


def train(manifest: DetectionManifest, spec: TrainSpec, workdir: Path, report: Report, cache: Path) -> SealedModel:
    """Learn a detector from the manifest's boxes; returns the sealed model, in a folder of `workdir`.

    It learns from some of the images and is measured on the others (`held_out`). Resuming, `cache` and errors: as
    transfer.pipeline.train.
    """
    manifest, notes = trainable(manifest)
    room = Room(manifest, spec, choose_device(spec.device), workdir, cache, Course(report, SHARES), list(notes))
    learned, measured = split(manifest, spec.held_out, spec.seed)
    proposals = _propose(room, learned, measured)
    chosen = _choose_source(room, learned, proposals[: len(learned.images)])
    lesson = Lesson(learned, proposals[: len(learned.images)], chosen.card, workdir / 'checkpoints', room.device)
    trained = _learn(room, lesson)
    outcome = _measure(room, trained, measured, proposals[len(learned.images) :])
    return _seal(room, trained, chosen, outcome)


@dataclass
class Room:
    """What every step of one training works with."""

    manifest: DetectionManifest
    spec: TrainSpec
    device: torch.device
    workdir: Path
    cache: Path
    course: Course
    notes: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.kind = kind_of(self.spec)
        self.options = fitted(self.spec, self.device)
        self.limit = limit_of(self.kind, self.options)
        if self.limit < limit_of(self.kind, self.spec):
            self.notes.append(f'Without a GPU R-CNN looks at the best {self.limit} regions of a photo instead of 2,000.')


@dataclass(frozen=True)
class Outcome:
    """The detector on the images that it did not learn from."""

    measured: DetectionManifest
    proposals: Sequence[np.ndarray]
    found: Sequence[Detections]
    seconds: float  # an image, without proposals


class Within:
    """A detector's own report of its progress, as one phase of the whole."""

    def __init__(self, course: Course) -> None:
        self._course = course

    def progress(self, progress: Progress) -> None:
        told = progress.message or None
        self._course.beat(progress.fraction, told, epoch=progress.epoch, epochs=progress.epochs, loss=progress.loss)

    def instant(self, model: SealedModel) -> None:
        """Detectors have no instant model: without boxes that fit, a quick one would be of no use."""


def _propose(room: Room, learned: DetectionManifest, measured: DetectionManifest) -> list[np.ndarray]:
    """Of all images, those to learn from first; kept by digest for later trainings."""
    images = [*learned.images, *measured.images]
    with room.course.phase('proposals', f'Finding where something may be on {len(images)} photos'):
        return propose_all(
            images, room.cache, room.spec.proposals, room.limit, done=lambda count: room.course.beat(count / len(images))
        )


def _choose_source(room: Room, learned: DetectionManifest, proposals: Sequence[np.ndarray]) -> Chosen:
    """As for a classifier, on what is in the boxes."""
    with room.course.phase('decode', 'Cutting out what you boxed'):
        crops = cut_out(learned, proposals, room.workdir / 'crops', room.spec.seed, room.course.beat)
    spec = dataclasses.replace(room.spec, sources=_candidates(room))
    shop = Workshop(crops, spec, room.device, room.cache, room.course, room.notes)
    ranked = rank_sources(shop)
    with room.course.phase('instant', 'Looking at them with the first source'):
        first = learn_first(shop, ranked)
    able = Preference('looks at a photo more thoroughly', partial(_work, device=room.device))
    return choose(shop, ranked, first, None if room.kind == 'rcnn' else able)  # R-CNN runs the whole network on every region


def _work(learned: Learned, device: torch.device) -> float:
    """Multiply-adds of an image: telling crops apart says little of finding things. Every source tells raccoons from their
    surroundings, yet MobileNetV3-Small (0.06 G) came to a mAP of 0.55 where MobileNetV2 (0.3 G) had come to 0.82; on blood cells
    it came to 0.65, SqueezeNet 1.1 (0.3 G) to 0.71. Of those too heavy for a CPU, the lighter the better.
    """
    macs = multiply_adds(learned.network)
    return -macs if device.type == 'cpu' and macs > HEAVY else macs


def _candidates(room: Room) -> tuple[SourceCard, ...]:
    """The sources that can become a detector of the wanted kind; R-CNN takes any."""
    if room.kind == 'rcnn':
        return room.spec.sources
    found = []
    for card in room.spec.sources:
        if why := _unfit(card):
            room.notes.append(f'The source {card.name} was left out: {why}.')
        else:
            found.append(card)
    return tuple(found)


def _unfit(card: SourceCard) -> str:
    try:
        network = architecture(card.architecture)
        convolutional_body(network, network.skeleton(2))
    except UnusableSource as error:
        return error.message
    return ''


def _learn(room: Room, lesson: Lesson) -> Trained:
    names = {'rcnn': 'R-CNN', 'fast-rcnn': 'Fast R-CNN', 'faster-rcnn': 'Faster R-CNN'}
    lesson.workdir.mkdir(parents=True, exist_ok=True)
    with room.course.phase('finetune', f'Learning to find: {names[room.kind]} on {len(lesson.manifest.images)} photos'):
        return learn(room.kind, lesson, room.options, Within(room.course))


def _measure(room: Room, trained: Trained, measured: DetectionManifest, proposals: Sequence[np.ndarray]) -> Outcome:
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


def _seal(room: Room, trained: Trained, chosen: Chosen, outcome: Outcome) -> SealedModel:
    folder, given = room.workdir / 'sealed', Preprocessing.of(chosen.card)
    detection = trained.facts | {'kind': trained.kind, 'proposals': room.spec.proposals, 'limit': room.limit}
    with room.course.phase('seal', 'Sealing the model'), written_aside(folder) as aside:
        why_not = trained.write(aside)
        report = _report(room, trained, chosen, outcome)
        detection['at_score'] = report.detection['at_score']
        meta = Meta(
            labels=room.manifest.labels,
            architecture=chosen.card.architecture,
            preprocessing=given,
            temperature=1.0,
            engine=_engine(why_not),
            source=without_signature(chosen.card),
            why=chosen.why,
            spec=slim_spec(room.options),
            data_digest=room.manifest.digest,
            seed=room.spec.seed,
            versions=exporting.versions(),
            detection=detection,
        )
        engine = _checked(aside, meta, trained, outcome)
        report = dataclasses.replace(report, sealing=engine, seconds=_rounded(room.course.seconds))
        digest = write_meta(aside, dataclasses.replace(meta, engine=engine, report=report.to_json()))
    return SealedModel(str(folder), digest, report)


def _engine(why_not: str) -> dict[str, Any]:
    return {'name': 'torch' if why_not else 'openvino', 'precision': 'float32', 'why_not': why_not}


def _checked(folder: Path, meta: Meta, trained: Trained, outcome: Outcome) -> dict[str, Any]:
    """The engine, with how near the sealed graphs are to torch on a few photos; torch itself where they are not near."""
    if meta.engine['name'] == 'torch':
        return meta.engine
    images, find = outcome.measured.images[:CHECKED], finder(folder, meta, 'cpu')
    begun = time.process_time()
    served = [find(_photo(image, trained), regions) for image, regions in zip(images, outcome.proposals, strict=False)]
    seconds = (time.process_time() - begun) / len(served)
    facts = detector_graphs.compared(outcome.found[: len(served)], served)
    if facts['largest_difference'] > detector_graphs.CLOSE:
        detector_graphs.without_graphs(folder)
        return _engine('the converted graphs do not compute what the network computes') | facts
    return meta.engine | facts | {'milliseconds': round(1000 * seconds)}


def _report(room: Room, trained: Trained, chosen: Chosen, outcome: Outcome) -> TrainReport:
    truths = [truth_of(image).boxes for image in outcome.measured.images]
    known = figures(
        outcome.measured, outcome.found, recall(truths, outcome.proposals), best_score(outcome.measured, outcome.found)
    )
    learned = len(room.manifest.images) - len(outcome.measured.images)
    if trained.kind == 'faster-rcnn':
        known['proposals'] = {}  # its own are not told apart from its answers
    known |= {'kind': trained.kind, 'learned': learned, 'measured': len(outcome.measured.images), 'seconds': outcome.seconds}
    low, high = known['interval']
    return TrainReport(
        accuracy=known['ap11'],
        interval=(low, high),
        images=len(room.manifest.images),
        labels=room.manifest.labels,
        winner=trained.kind,
        why=_WHY[trained.kind],
        source=chosen.card.name,
        ranking=chosen.ranking,
        probes=chosen.probes,
        plan={'source_why': chosen.why, 'device': room.device.type, 'options': trained.facts['spec']},
        seconds=_rounded(room.course.seconds),
        notes=tuple(room.notes),
        data_digest=room.manifest.digest,
        seed=room.spec.seed,
        detection=known,
    )


_WHY = {
    'rcnn': 'R-CNN looks at each proposed region alone: slow to ask, and sparing with boxes.',
    'fast-rcnn': 'Fast R-CNN looks at a photo once and reads every proposed region from it.',
    'faster-rcnn': 'Faster R-CNN proposes its own regions.',
}


def _rounded(seconds: dict[str, float]) -> dict[str, float]:
    return {name: round(spent, 3) for name, spent in seconds.items()}
