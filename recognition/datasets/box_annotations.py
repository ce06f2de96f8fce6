"""Boxes on images: what is on one, what a person says is on it, and how far the labelling of a project is.

An image of a detection project is in one of three states: nobody has looked at it (`boxed_at` is empty), it has boxes, or a
person said that there is nothing on it, which trains a detector as well: it shows what is not to be found.
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
from recognition.datasets.formats.records import BOXES_PER_IMAGE, SMALLEST_SIDE, Box
from recognition.errors import ConflictError, InvalidInputError
from recognition.models import Annotation, Image, Label, Project
from recognition.models.project import Task

DECIMALS = 3  # kept of a pixel: nobody draws finer, and what formats lose in their sums is rounded away again

State = Literal['unlabelled', 'boxes', 'nothing']


@dataclass(frozen=True)
class BoxSet:
    """All that is known to be on one image. `version` grows with each change."""

    image: Image
    version: int
    state: State
    boxes: tuple[Box, ...]


@dataclass(frozen=True)
class Progress:
    """How many of a project's images were looked at, and how many boxes they hold."""

    images: int
    labelled: int
    nothing: int
    boxes: int

    @property
    def left(self) -> int:
        return self.images - self.labelled


def boxes_of(project: Project, image_id: uuid.UUID | str) -> BoxSet:
    """Error: NotFoundError."""
    return _box_set(dataset_labels.image(project, image_id))


def set_boxes(
    project: Project,
    image_id: uuid.UUID | str,
    boxes: Sequence[Box],
    *,
    version: int,
    nothing: bool = False,
    user: AbstractBaseUser | None = None,
) -> BoxSet:
    """Replace the boxes of an image that is still at `version`; labels are made when they are new.

    No boxes and `nothing`: a person says that there is nothing. No boxes without it: nobody has said anything yet.
    Boxes are cut to the image and kept to a thousandth of a pixel. The same request sent twice (its first answer was lost)
    is no conflict.
    Errors: NotFoundError, InvalidInputError naming the image and the box, ConflictError when somebody else changed the boxes meanwhile.
    """
    image = dataset_labels.image(project, image_id)
    _refuse_other_tasks(project)
    wanted = checked(image, boxes)
    if nothing and wanted:
        raise InvalidInputError(f'“{image.name}” cannot have boxes and have nothing on it.', field='nothing')
    with transaction.atomic():
        if not _take_turn(image, version, bool(wanted) or nothing, user):
            return _as_sent_before(project, image_id, wanted, nothing)
        _replace_boxes(image, wanted, labels_named(project, {box.label for box in wanted}), user)
    return boxes_of(project, image_id)


def checked(image: Image, boxes: Sequence[Box]) -> list[Box]:
    """The boxes cut to their image. InvalidInputError names the image and the box that is none."""
    if len(boxes) > BOXES_PER_IMAGE:
        raise InvalidInputError(
            f'“{image.name}” has {len(boxes):,} boxes; at most {BOXES_PER_IMAGE:,} are kept.', field='boxes'
        )
    return [_on_image(image, box, f'boxes[{index}]') for index, box in enumerate(boxes)]


def _on_image(image: Image, box: Box, field: str) -> Box:
    corners = (box.x0, box.y0, box.x1, box.y1)
    if not all(math.isfinite(corner) for corner in corners):
        raise InvalidInputError(f'“{image.name}”: a corner of a box is not a number.', field=field)
    x0, x1 = (round(min(max(corner, 0.0), float(image.width)), DECIMALS) for corner in corners[::2])
    y0, y1 = (round(min(max(corner, 0.0), float(image.height)), DECIMALS) for corner in corners[1::2])
    if x1 - x0 < SMALLEST_SIDE or y1 - y0 < SMALLEST_SIDE:
        said = ', '.join(f'{corner:g}' for corner in corners)
        raise InvalidInputError(f'“{image.name}”: the box {said} covers no pixel of the image.', field=field)
    return Box(naming.clean(box.label, field=f'{field}.label'), x0, y0, x1, y1, box.difficult)


def rounded(box: Box) -> Box:
    x0, y0, x1, y1 = (round(corner, DECIMALS) for corner in (box.x0, box.y0, box.x1, box.y1))
    return replace(box, x0=x0, y0=y0, x1=x1, y1=y1)


def _take_turn(image: Image, version: int, labelled: bool, user: AbstractBaseUser | None) -> bool:
    """The compare-and-set; the row stays locked until the transaction ends."""
    rows = Image.objects.present().filter(pk=image.pk, boxes_version=version)
    when, who = (timezone.now(), user and user.pk) if labelled else (None, None)
    return rows.update(boxes_version=models.F('boxes_version') + 1, boxed_at=when, boxed_by=who) == 1


def _as_sent_before(
    project: Project, image_id: uuid.UUID | str, wanted: Sequence[Box], nothing: bool
) -> BoxSet:
    present = boxes_of(project, image_id)
    same_state = (present.state != 'unlabelled') == (bool(wanted) or nothing)
    if same_state and Counter(present.boxes) == Counter(wanted):
        return present
    raise ConflictError(
        f'The boxes of “{present.image.name}” were changed meanwhile (version {present.version}); load them again.',
        field='version',
    )


def labels_named(project: Project, names: Iterable[str]) -> dict[str, Label]:
    """Call it inside a transaction."""
    return {name: dataset_labels.label_named(project, name) for name in sorted(names)}


def _replace_boxes(
    image: Image, wanted: Sequence[Box], labels: Mapping[str, Label], user: AbstractBaseUser | None
) -> None:
    """Boxes that stay keep their row: who drew them, and when."""
    missing = Counter(wanted)
    for row in Annotation.objects.filter(image=image).select_related('label'):
        drawn = drawn_box(row)
        if missing[drawn] > 0:
            missing[drawn] -= 1
        else:
            row.delete()
    Annotation.objects.bulk_create(row_of(image, box, labels, user) for box in missing.elements())


def row_of(image: Image, box: Box, labels: Mapping[str, Label], user: AbstractBaseUser | None) -> Annotation:
    """A row that is not saved yet."""
    corners = {'x0': box.x0, 'y0': box.y0, 'x1': box.x1, 'y1': box.y1}
    who = None if user is None else user.pk
    return Annotation(
        image=image, label=labels[box.label], difficult=box.difficult, added_by_id=who, **corners
    )


def rows_of(project: Project) -> models.QuerySet[Image]:
    """The labelled images with their boxes, oldest first."""
    boxes = models.Prefetch('boxes', Annotation.objects.select_related('label'))
    return Image.objects.boxed().filter(project=project).prefetch_related(boxes)


def progress(project: Project) -> Progress:
    present = Image.objects.present().filter(project=project)
    boxed = models.Q(boxed_at__isnull=False)
    counts = present.aggregate(
        images=models.Count('id', distinct=True),
        labelled=models.Count('id', filter=boxed, distinct=True),
        nothing=models.Count('id', filter=boxed & models.Q(boxes=None), distinct=True),
        boxes=models.Count('boxes'),
    )
    return Progress(**counts)


def states(project: Project) -> list[tuple[uuid.UUID, State]]:
    """Each image that is not in the trash, oldest first."""
    drawn = models.Exists(Annotation.objects.filter(image=models.OuterRef('pk')))
    rows = (
        Image.objects.present()
        .filter(project=project)
        .annotate(drawn=drawn)
        .values_list('id', 'boxed_at', 'drawn')
    )
    return [(key, _state(boxed_at is not None, has_boxes)) for key, boxed_at, has_boxes in rows]


def trainable(project: Project) -> dict[str, tuple[int, int]]:
    """Label -> boxes to learn from, and photos that have them; difficult ones are none."""
    there = models.Q(boxes__image__deleted_at=None, boxes__difficult=False)
    rows = Label.objects.filter(project=project).annotate(
        drawn=models.Count('boxes', filter=there),
        photos=models.Count('boxes__image', filter=there, distinct=True),
    )
    return {row.name: (row.drawn, row.photos) for row in rows}


def box_counts(project: Project) -> dict[str, int]:
    """Label -> how many boxes it has on images that are not in the trash; labels without any included."""
    present = models.Count('boxes', filter=models.Q(boxes__image__deleted_at=None))
    rows = Label.objects.filter(project=project).annotate(present=present).order_by('name')
    return dict(rows.values_list('name', 'present'))


def _box_set(image: Image) -> BoxSet:
    boxes = tuple(drawn_box(row) for row in Annotation.objects.filter(image=image).select_related('label'))
    return BoxSet(image, image.boxes_version, _state(image.boxed_at is not None, bool(boxes)), boxes)


def _state(looked_at: bool, has_boxes: bool) -> State:
    if not looked_at:
        return 'unlabelled'
    return 'boxes' if has_boxes else 'nothing'


def drawn_box(row: Annotation) -> Box:
    return Box(row.label.name, row.x0, row.y0, row.x1, row.y1, row.difficult)


def _refuse_other_tasks(project: Project) -> None:
    if project.task != Task.DETECTION:
        raise ConflictError(
            'This project tells what a whole photo shows; boxes belong to a project that finds things in photos.'
        )
