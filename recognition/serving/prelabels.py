"""Prelabels: the boxes that a project's newest detector proposes on a photo, for a person to accept, correct
or reject.
"""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass
from pathlib import Path

from recognition import storage
from recognition.datasets import box_annotations, labels
from recognition.errors import NotReadyError
from recognition.models import Image, Label, Project, TrainedModel
from recognition.models.project import Task
from recognition.serving import prediction
from recognition.serving.prediction_results import DetectedBox
from transfer.runtime import atomic_write

MIN_SCORE = 0.05  # detections below it are neither shown nor counted as possible mistakes


@dataclass(frozen=True)
class Prelabels:
    model: TrainedModel
    threshold: float  # the model's own
    boxes: tuple[DetectedBox, ...]  # from the threshold on
    mistakes: float  # how many boxes a person is expected to correct, see count_expected_mistakes


def find_detector(project: Project) -> TrainedModel | None:
    """Find the project's newest detector; a finished one comes before a provisional one."""
    rows = TrainedModel.objects.filter(project=project, task=Task.DETECTION).defer('report')
    return rows.order_by('provisional', '-version').first()


def compute_prelabels(project: Project, image_id: uuid.UUID | str) -> Prelabels:
    """Detect on one photo: about a second the first time, on a CPU; then from the cache. Deleted classes are
    left out.

    Errors: NotFoundError, NotReadyError (no detector yet), ModelUnavailableError, ModelOverloadedError.
    """
    image = labels.get_image(project, image_id)
    model = find_detector(project)
    if model is None:
        raise NotReadyError(
            'There is no detector yet: label some photos and train one, then it proposes boxes on the others.'
        )
    threshold, detections = _detect_cached(model, image)
    present = set(Label.objects.filter(project=project).values_list('name', flat=True))
    known = [box for box in detections if box.label in present]
    shown = [box for box in known if box.score >= threshold][: box_annotations.MAX_BOXES_PER_IMAGE]
    return Prelabels(model, threshold, tuple(shown), count_expected_mistakes(known, threshold))


def count_expected_mistakes(boxes: list[DetectedBox], threshold: float) -> float:
    """The number of boxes to correct if each score were the probability that its box is right.

    A shown box is wrong with probability 1 - score, a hidden one is missing with probability score. Photos
    with the largest sum teach most: uncertainty summed over detections, which Brust, Kaeding and Denzler
    (2019) found best for active learning.
    """
    return round(sum(1 - box.score if box.score >= threshold else box.score for box in boxes), 3)


def _detect_cached(model: TrainedModel, image: Image) -> tuple[float, list[DetectedBox]]:
    cached: Path = storage.cache_folder('prelabels') / image.digest / f'{model.digest}.json'
    try:
        values = json.loads(cached.read_text())
        return values['threshold'], [DetectedBox(**box) for box in values['boxes']]
    except (OSError, ValueError, KeyError, TypeError):  # not there yet, or written by another version
        result = prediction.detect(model, [storage.read(image.key)], MIN_SCORE)
    boxes = list(result.images[0].detections)
    threshold = prediction.get_threshold(model)
    atomic_write.write_json(cached, {'threshold': threshold, 'boxes': [asdict(box) for box in boxes]})
    return threshold, boxes
