"""Whether a project has enough labelled images or boxes to be trained."""

from __future__ import annotations

from dataclasses import dataclass

from django.db.models import Count, Q

from recognition.datasets import box_annotations
from recognition.datasets.health import LEAST_BOXES, LEAST_CLASSES, LEAST_IMAGES
from recognition.models import Project
from recognition.models.project import Task


@dataclass(frozen=True)
class Readiness:
    """Whether a project can be trained; `missing` holds a sentence for each thing that it lacks."""

    ready: bool
    missing: tuple[str, ...]


def check_readiness(project: Project) -> Readiness:
    """Two classes with enough images make a classifier, one with enough boxes a detector.

    A further class that is still small holds nothing up: the report tells of it.
    """
    return _enough_boxes(project) if project.task == Task.DETECTION else _enough_images(project)


def _enough_boxes(project: Project) -> Readiness:
    counts = box_annotations.trainable(project)
    progress = box_annotations.progress(project)
    with_boxes = progress.labelled - progress.nothing
    missing = []
    if with_boxes < LEAST_BOXES:
        missing.append(
            f'Draw boxes on at least {LEAST_BOXES} photos; there are boxes on {with_boxes or "none"} so far.'
        )
    largest = max((boxes for boxes, photos in counts.values() if photos > 1), default=0)
    if counts and largest < LEAST_BOXES:
        missing.append(
            f'Draw at least {LEAST_BOXES} boxes of one class, on two photos or more; the largest has {largest}.'
        )
    return Readiness(not missing, tuple(missing))


def _enough_images(project: Project) -> Readiness:
    present = Count('images', filter=Q(images__deleted_at=None))
    counts = dict(
        project.labels.annotate(present=present).filter(present__gt=0).values_list('name', 'present')
    )
    small = {name: count for name, count in counts.items() if count < LEAST_IMAGES}
    if len(counts) - len(small) >= LEAST_CLASSES:
        return Readiness(True, ())
    missing = [
        f'The class {name!r} has {count} of the {LEAST_IMAGES} images that it needs.'
        for name, count in small.items()
    ]
    if len(counts) < LEAST_CLASSES:
        missing.insert(
            0, f'Label images of at least {LEAST_CLASSES} classes; there is {len(counts) or "none"} so far.'
        )
    return Readiness(False, tuple(missing))
