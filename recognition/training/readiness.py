"""Whether a project has enough labelled images or boxes to be trained."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q

from recognition.datasets import box_annotations
from recognition.datasets.health import MIN_BOXES, MIN_CLASSES, MIN_IMAGES_PER_CLASS
from recognition.models import Project
from recognition.models.project import Task


@dataclass(frozen=True)
class Readiness:
    """Whether a project can be trained; `missing` holds a sentence for each thing that it lacks."""

    ready: bool
    missing: tuple[str, ...]


def check_readiness(project: Project) -> Readiness:
    """Two classes with enough images make a classifier, one with enough boxes a detector.

    A further class that is still too small does not prevent a training; the report says so.
    """
    return _check_boxes(project) if project.task == Task.DETECTION else _check_images(project)


def _check_boxes(project: Project) -> Readiness:
    counts = box_annotations.count_trainable_boxes(project)
    progress = box_annotations.get_labelling_progress(project)
    with_boxes = progress.labelled - progress.empty
    missing = []
    if with_boxes < MIN_BOXES:
        missing.append(
            f'Draw boxes on at least {MIN_BOXES} photos; there are boxes on {with_boxes or "none"} so far.'
        )
    largest = max((boxes for boxes, photos in counts.values() if photos > 1), default=0)
    if counts and largest < MIN_BOXES:
        missing.append(
            f'Draw at least {MIN_BOXES} boxes of one class, on two photos or more; the largest has {largest}.'
        )
    return Readiness(not missing, tuple(missing))


def _check_images(project: Project) -> Readiness:
    present = Count('images', filter=Q(images__deleted_at=None))
    counts = dict(
        project.labels.annotate(present=present).filter(present__gt=0).values_list('name', 'present')
    )
    small = {name: count for name, count in counts.items() if count < MIN_IMAGES_PER_CLASS}
    if len(counts) - len(small) >= MIN_CLASSES:
        return Readiness(True, ())
    missing = [
        f'The class {name!r} has {count} of the {MIN_IMAGES_PER_CLASS} images that it needs.'
        for name, count in small.items()
    ]
    if len(counts) < MIN_CLASSES:
        missing.insert(
            0, f'Label images of at least {MIN_CLASSES} classes; there is {len(counts) or "none"} so far.'
        )
    return Readiness(False, tuple(missing))
