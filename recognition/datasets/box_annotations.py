"""Boxes on images: read them, replace them, and count how far the labelling of a project is.

An image of a detection project is in one of three states: unlabelled (`boxed_at` is empty), with boxes, or
marked as empty. An empty image trains a detector too: everything on it is background.
"""

from __future__ import annotations

import math
import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models, transaction
from django.utils import timezone

from recognition import naming
from recognition.datasets import labels as dataset_labels
from recognition.datasets.formats.records import MAX_BOXES_PER_IMAGE, MIN_BOX_SIDE, Box
from recognition.errors import ConflictError, InvalidInputError
from recognition.models import Annotation, Image, Label, Project
from recognition.models.project import Task

DECIMALS = 3  # of a pixel: finer than anyone draws, and it removes the rounding errors of file formats

State = Literal['unlabelled', 'boxes', 'empty']


@dataclass(frozen=True)
class BoxSet:
    """All boxes of one image. `version` is incremented with each change."""

    image: Image
    version: int
    state: State
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class LabellingProgress:
    """How many of a project's images are labelled or marked as empty, and how many boxes they have."""

    images: int
    labelled: int
    empty: int
    boxes: int

    @property
    def left(self) -> int:
        return self.images - self.labelled


def get_boxes(project: Project, image_id: uuid.UUID | str) -> BoxSet:
    """Error: NotFoundError."""
    return _make_box_set(dataset_labels.get_image(project, image_id))


def set_boxes(
    project: Project,
    image_id: uuid.UUID | str,
    boxes: Sequence[Box],
    *,
    version: int,
    empty: bool = False,
    user: AbstractBaseUser | None = None,
) -> BoxSet:
    """Replace the boxes of an image that is still at `version`; new labels are created.

    No boxes and `empty`: the image is marked as empty. No boxes without it: the image is unlabelled again.
    Boxes are clipped to the image and rounded to a thousandth of a pixel. The same request sent twice (its
    first answer was lost) is no conflict. Errors: NotFoundError, InvalidInputError (with the image and the
    box), ConflictError (another user changed the boxes).
    """
    image = dataset_labels.get_image(project, image_id)
    _require_detection_project(project)
    wanted = check_boxes(image, boxes)
    if empty and wanted:
        raise InvalidInputError(f'“{image.name}” cannot have boxes and have nothing on it.', field='empty')
    with transaction.atomic():
        if not _increment_version(image, version, bool(wanted) or empty, user):
            return _accept_repeated_request(project, image_id, wanted, empty)
        _replace_boxes(image, wanted, get_or_create_labels(project, {box.label for box in wanted}), user)
    return get_boxes(project, image_id)


def check_boxes(image: Image, boxes: Sequence[Box]) -> list[Box]:
    """Clip the boxes to their image. Error: InvalidInputError, with the image and the invalid box."""
    if len(boxes) > MAX_BOXES_PER_IMAGE:
        raise InvalidInputError(
            f'“{image.name}” has {len(boxes):,} boxes; at most {MAX_BOXES_PER_IMAGE:,} are allowed.',
            field='boxes',
        )
    return [_clip_box(image, box, f'boxes[{index}]') for index, box in enumerate(boxes)]


def _clip_box(image: Image, box: Box, field: str) -> Box:
    corners = (box.x0, box.y0, box.x1, box.y1)
    if not all(math.isfinite(corner) for corner in corners):
        raise InvalidInputError(f'“{image.name}”: a corner of a box is not a number.', field=field)
    x0, x1 = (round(min(max(corner, 0.0), float(image.width)), DECIMALS) for corner in corners[::2])
    y0, y1 = (round(min(max(corner, 0.0), float(image.height)), DECIMALS) for corner in corners[1::2])
    if x1 - x0 < MIN_BOX_SIDE or y1 - y0 < MIN_BOX_SIDE:
        text = ', '.join(f'{corner:g}' for corner in corners)
        raise InvalidInputError(f'“{image.name}”: the box {text} covers no pixel of the image.', field=field)
    return Box(naming.clean_name(box.label, field=f'{field}.label'), x0, y0, x1, y1, box.difficult)


def round_box(box: Box) -> Box:
    x0, y0, x1, y1 = (round(corner, DECIMALS) for corner in (box.x0, box.y0, box.x1, box.y1))
    return replace(box, x0=x0, y0=y0, x1=x1, y1=y1)


def _increment_version(image: Image, version: int, labelled: bool, user: AbstractBaseUser | None) -> bool:
    """The compare-and-set; the row stays locked until the transaction ends."""
    rows = Image.objects.present().filter(pk=image.pk, boxes_version=version)
    when, who = (timezone.now(), user and user.pk) if labelled else (None, None)
    return rows.update(boxes_version=models.F('boxes_version') + 1, boxed_at=when, boxed_by=who) == 1


def _accept_repeated_request(
    project: Project, image_id: uuid.UUID | str, wanted: Sequence[Box], empty: bool
) -> BoxSet:
    present = get_boxes(project, image_id)
    same_state = (present.state != 'unlabelled') == (bool(wanted) or empty)
    if same_state and Counter(present.boxes) == Counter(wanted):
        return present
    raise ConflictError(
        f'The boxes of “{present.image.name}” were changed meanwhile (version {present.version}); load them '
        'again.',
        field='version',
    )


def get_or_create_labels(project: Project, names: Iterable[str]) -> dict[str, Label]:
    """Labels of these names, locked; new ones are created. Call it inside a transaction."""
    return {name: dataset_labels.get_or_create_label(project, name) for name in sorted(names)}


def _replace_boxes(
    image: Image, wanted: Sequence[Box], labels: Mapping[str, Label], user: AbstractBaseUser | None
) -> None:
    """Boxes that do not change keep their row: its user and time."""
    missing = Counter(wanted)
    for row in Annotation.objects.filter(image=image).select_related('label'):
        box = make_box(row)
        if missing[box] > 0:
            missing[box] -= 1
        else:
            row.delete()
    Annotation.objects.bulk_create(make_annotation(image, box, labels, user) for box in missing.elements())


def make_annotation(
    image: Image, box: Box, labels: Mapping[str, Label], user: AbstractBaseUser | None
) -> Annotation:
    """Make a row, not saved yet."""
    corners = {'x0': box.x0, 'y0': box.y0, 'x1': box.x1, 'y1': box.y1}
    who = None if user is None else user.pk
    return Annotation(
        image=image, label=labels[box.label], difficult=box.difficult, added_by_id=who, **corners
    )


def list_annotated_images(project: Project) -> models.QuerySet[Image]:
    """The labelled images with their boxes, oldest first."""
    boxes = models.Prefetch('boxes', Annotation.objects.select_related('label'))
    return Image.objects.boxed().filter(project=project).prefetch_related(boxes)


def get_labelling_progress(project: Project) -> LabellingProgress:
    present = Image.objects.present().filter(project=project)
    boxed = models.Q(boxed_at__isnull=False)
    counts = present.aggregate(
        images=models.Count('id', distinct=True),
        labelled=models.Count('id', filter=boxed, distinct=True),
        empty=models.Count('id', filter=boxed & models.Q(boxes=None), distinct=True),
        boxes=models.Count('boxes'),
    )
    return LabellingProgress(**counts)


def list_states(project: Project) -> list[tuple[uuid.UUID, State]]:
    """Each image that is not in the trash, oldest first."""
    drawn = models.Exists(Annotation.objects.filter(image=models.OuterRef('pk')))
    rows = (
        Image.objects.present()
        .filter(project=project)
        .annotate(drawn=drawn)
        .values_list('id', 'boxed_at', 'drawn')
    )
    return [(key, _get_state(boxed_at is not None, has_boxes)) for key, boxed_at, has_boxes in rows]


def count_trainable_boxes(project: Project) -> dict[str, tuple[int, int]]:
    """Count, by label, the boxes to train on (not the difficult ones) and the images that have them."""
    there = models.Q(boxes__image__deleted_at=None, boxes__difficult=False)
    rows = Label.objects.filter(project=project).annotate(
        drawn=models.Count('boxes', filter=there),
        photos=models.Count('boxes__image', filter=there, distinct=True),
    )
    return {row.name: (row.drawn, row.photos) for row in rows}


def count_boxes_per_label(project: Project) -> dict[str, int]:
    """Count, by label, the boxes on images that are not in the trash; labels without any included."""
    present = models.Count('boxes', filter=models.Q(boxes__image__deleted_at=None))
    rows = Label.objects.filter(project=project).annotate(present=present).order_by('name')
    return dict(rows.values_list('name', 'present'))


def _make_box_set(image: Image) -> BoxSet:
    boxes = tuple(make_box(row) for row in Annotation.objects.filter(image=image).select_related('label'))
    return BoxSet(image, image.boxes_version, _get_state(image.boxed_at is not None, bool(boxes)), boxes)


def _get_state(is_boxed: bool, has_boxes: bool) -> State:
    if not is_boxed:
        return 'unlabelled'
    return 'boxes' if has_boxes else 'empty'


def make_box(row: Annotation) -> Box:
    return Box(row.label.name, row.x0, row.y0, row.x1, row.y1, row.difficult)


def _require_detection_project(project: Project) -> None:
    if project.task != Task.DETECTION:
        raise ConflictError(
            'This is a classification project, whose photos have one class each; only a detection project '
            'has boxes.'
        )
