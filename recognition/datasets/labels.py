"""Labels, and images in the trash. Ids are looked up inside the project: another project's id is not
found."""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping
from typing import TypeVar

from django.db import models, transaction
from django.utils import timezone

from recognition import naming
from recognition.errors import ConflictError, InvalidInputError, NotFoundError
from recognition.models import Annotation, Image, Label, Project
from recognition.models.image import ImageQuerySet
from recognition.models.project import Task

MAX_IMAGES = 20_000  # in one action
Item = TypeVar('Item')
CHUNK_SIZE = 5_000  # ids in one statement; SQLite's limit on variables is 32,766

ImageIds = Iterable[uuid.UUID | str]


@transaction.atomic
def label_images(project: Project, image_ids: ImageIds, label_name: str | None) -> dict[str, str | None]:
    """Set the label of images (a new one is created), or remove it with None.

    Returns image id -> the name of the label it had before; restore_labels undoes the change with it.
    """
    if project.task == Task.DETECTION and label_name is not None:
        raise ConflictError('In a detection project boxes have classes, not whole photos.')
    keys = _parse_ids(image_ids)
    before = _read_labels(project, keys)
    label = None if label_name is None else get_or_create_label(project, label_name)
    for chunk in split_into_chunks(keys):
        Image.objects.filter(project=project, id__in=chunk).update(label=label)
    return before


@transaction.atomic
def restore_labels(project: Project, before: Mapping[str, str | None]) -> None:
    """Undo a label_images."""
    groups: dict[str | None, list[str]] = {}
    for image_id, name in before.items():
        groups.setdefault(name, []).append(image_id)
    for name, image_ids in groups.items():
        label_images(project, image_ids, name)


def get_or_create_label(project: Project, name: str) -> Label:
    """The label of that name, created when it is new, locked until the transaction ends (call it inside
    one)."""
    label, _ = Label.objects.select_for_update().get_or_create(
        project=project, name=naming.clean_name(name, field='label')
    )
    return label


def create_label(project: Project, name: str) -> Label:
    label, made = Label.objects.get_or_create(project=project, name=naming.clean_name(name, field='name'))
    if not made:
        raise ConflictError(f'There is already a label “{label.name}”.', field='name')
    return label


@transaction.atomic
def rename_label(project: Project, label_id: int | str, name: str) -> Label:
    """Rename a label. With the name of another label the two are merged: that one is returned, with all
    images and boxes.
    """
    label = get_locked_label(project, label_id)
    new = naming.clean_name(name, field='name')
    other = Label.objects.select_for_update().filter(project=project, name=new).exclude(pk=label.pk).first()
    if other is None:
        label.name = new
        label.save(update_fields=['name'])
        return label
    Image.objects.filter(label=label).update(label=other)
    increment_box_versions(label)
    Annotation.objects.filter(label=label).update(label=other)
    label.delete()
    return other


def increment_box_versions(label: Label) -> None:
    """Increment the version of the boxes of these images, so that clients that show them must load them
    again.
    """
    Image.objects.filter(boxes__label=label).update(boxes_version=models.F('boxes_version') + 1)


@transaction.atomic
def delete_images(project: Project, image_ids: ImageIds) -> int:
    """Move images into the trash; restore_images restores them with their labels. Returns how many."""
    keys = _parse_ids(image_ids)
    _read_labels(project, keys)
    now = timezone.now()
    return sum(
        Image.objects.filter(project=project, id__in=chunk).update(deleted_at=now)
        for chunk in split_into_chunks(keys)
    )


@transaction.atomic
def restore_images(project: Project, image_ids: ImageIds) -> int:
    """Restore images from the trash; others do not change. Returns how many were restored."""
    keys = _parse_ids(image_ids)
    rows = Image.objects.filter(project=project)
    if sum(rows.filter(id__in=chunk).count() for chunk in split_into_chunks(keys)) != len(keys):
        raise NotFoundError('Some of these images do not exist.', field='ids')
    return sum(
        rows.filter(id__in=chunk, deleted_at__isnull=False).update(deleted_at=None)
        for chunk in split_into_chunks(keys)
    )


def list_labels_with_counts(project: Project) -> models.QuerySet[Label]:
    """The project's labels by name, with what is not in the trash: `present` images, and `drawn` boxes."""
    # A project has labels on images or boxes, so of these two joins one is always empty.
    present = models.Count('images', filter=models.Q(images__deleted_at=None), distinct=True)
    drawn = models.Count('boxes', filter=models.Q(boxes__image__deleted_at=None), distinct=True)
    return Label.objects.filter(project=project).annotate(present=present, drawn=drawn).order_by('name')


def get_label(project: Project, label_id: int) -> Label:
    """One label of the project, as `counted`."""
    row = list_labels_with_counts(project).filter(pk=label_id).first()
    if row is None:
        raise NotFoundError('There is no such label.')
    return row


def get_image(project: Project, image_id: uuid.UUID | str, *, deleted: bool = False) -> Image:
    """One image of the project, present (or in the trash)."""
    key = _parse_ids([image_id])[0]
    row = (
        Image.objects.filter(project=project, id=key, deleted_at__isnull=not deleted)
        .select_related('label')
        .first()
    )
    if row is None:
        raise NotFoundError('There is no such image.')
    return row


def filter_images(
    project: Project,
    *,
    label: str | None = None,
    labelled: bool | None = None,
    deleted: bool = False,
) -> ImageQuerySet:
    """The images of a project: of one label, with or without any label, or those in the trash.

    In a detection project: with a box of the label; labelled or marked as empty, or not yet.
    """
    boxed = project.task == Task.DETECTION
    rows = Image.objects.filter(project=project, deleted_at__isnull=not deleted).select_related('label')
    if label is not None:
        with_box = Annotation.objects.filter(image=models.OuterRef('pk'), label__name=label)
        rows = rows.filter(models.Exists(with_box)) if boxed else rows.filter(label__name=label)
    if labelled is not None:
        rows = rows.filter(**{'boxed_at__isnull' if boxed else 'label__isnull': not labelled})
    return rows


def get_locked_label(project: Project, label_id: int | str) -> Label:
    """One label of the project until the transaction ends (call it inside one). Error: NotFoundError."""
    try:
        return Label.objects.select_for_update().get(project=project, pk=int(label_id))
    except (ValueError, OverflowError, Label.DoesNotExist):
        raise NotFoundError('There is no such label.') from None


def _parse_ids(image_ids: ImageIds) -> list[uuid.UUID]:
    """Unique ids in their order."""
    keys: dict[uuid.UUID, None] = {}
    for image_id in image_ids:
        try:
            keys[image_id if isinstance(image_id, uuid.UUID) else uuid.UUID(str(image_id))] = None
        except ValueError:
            raise NotFoundError('There is no such image.', field='ids') from None
        if len(keys) > MAX_IMAGES:
            raise InvalidInputError(f'At most {MAX_IMAGES:,} images at once.', field='ids')
    if not keys:
        raise InvalidInputError('Name at least one image.', field='ids')
    return list(keys)


def _read_labels(project: Project, keys: list[uuid.UUID]) -> dict[str, str | None]:
    names: dict[str, str | None] = {}
    for chunk in split_into_chunks(keys):
        rows = Image.objects.present().filter(project=project, id__in=chunk)
        names.update({str(key): name for key, name in rows.values_list('id', 'label__name')})
    if len(names) != len(keys):
        raise NotFoundError('Some of these images do not exist.', field='ids')
    return names


def split_into_chunks(items: list[Item]) -> Iterable[list[Item]]:
    """Split a list into parts that fit one SQL statement."""
    return (items[start : start + CHUNK_SIZE] for start in range(0, len(items), CHUNK_SIZE))
