"""Assisted labelling: what the project's newest detector sees on a photo, for a person to accept, mend or reject."""

from __future__ import annotations

import json
import uuid
from dataclasses import asdict, dataclass

from recognition import storage
from recognition.datasets import box_annotations, labels
from recognition.errors import NotReadyError
from recognition.models import Image, Label, Project, TrainedModel
from recognition.models.project import Task
from recognition.serving import prediction
from recognition.serving.prediction import DetectedBox
from transfer.runtime.atomic_write import write_json

FLOOR = 0.05  # scores below it are not worth a person's look, nor a doubt


@dataclass(frozen=True)
class Prelabels:
    """`boxes` from the model's own threshold on. `mistakes`: how many a person is expected to mend, see expected_mistakes."""

    model: TrainedModel
    threshold: float
    boxes: tuple[DetectedBox, ...]
    mistakes: float


def find_detector(project: Project) -> TrainedModel | None:
    """The detector that proposes: the newest, provisional or not."""
    rows = TrainedModel.objects.filter(project=project, task=Task.DETECTION).defer('report')
    return rows.order_by('provisional', '-version').first()


def compute_prelabels(project: Project, image_id: uuid.UUID | str) -> Prelabels:
    """About a second the first time, on a CPU; then from the cache. Boxes of classes that are gone are left out.

    Errors: NotFoundError, NotReadyError (no detector yet), ModelUnavailableError, ModelOverloadedError.
    """
    image = labels.get_image(project, image_id)
    model = find_detector(project)
    if model is None:
        raise NotReadyError(
            'There is no detector yet: label some photos and train one, then it proposes boxes on the others.'
        )
    threshold, everything = _detect_cached(model, image)
    present = set(Label.objects.filter(project=project).values_list('name', flat=True))
    known = [found for found in everything if found.label in present]
    shown = [found for found in known if found.score >= threshold][: box_annotations.MAX_BOXES_PER_IMAGE]
    return Prelabels(model, threshold, tuple(shown), count_expected_mistakes(known, threshold))


def count_expected_mistakes(found: list[DetectedBox], threshold: float) -> float:
    """The boxes that a person would have to mend were each score the chance that its box is right.

    A shown box is wrong with chance 1 - score, one that is not shown is missing with chance score. Photos with most of it
    teach most: uncertainty summed over detections, as Brust, Käding and Denzler 2019 found best for active learning.
    """
    return round(sum(1 - box.score if box.score >= threshold else box.score for box in found), 3)


def _detect_cached(model: TrainedModel, image: Image) -> tuple[float, list[DetectedBox]]:
    cached = storage.cache_folder('proposals') / image.digest / f'{model.digest}.json'
    try:
        held = json.loads(cached.read_text())
        return held['threshold'], [DetectedBox(**box) for box in held['boxes']]
    except (OSError, ValueError, KeyError, TypeError):  # not there yet, or of another version: look again
        found = list(prediction.detect(model, [storage.read(image.key)], FLOOR).images[0].found)
    threshold = prediction.get_threshold(model)
    write_json(cached, {'threshold': threshold, 'boxes': [asdict(box) for box in found]})
    return threshold, found
