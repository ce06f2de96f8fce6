"""Deleted classes: what it takes to bring one back with its photos and boxes is kept until the trash is emptied."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models, transaction
from django.utils.dateparse import parse_datetime

from recognition.datasets import labels
from recognition.errors import NotFoundError
from recognition.models import Annotation, DeletedLabel, Image, Label, Project


@transaction.atomic
def delete_label(project: Project, label_id: int | str, user: AbstractBaseUser | None = None) -> DeletedLabel:
    """Put a class into the trash; its images stay, unlabelled, and its boxes go with it.

    An image that had no other boxes counts as not looked at, not as showing nothing. Error: NotFoundError.
    """
    label = labels.get_locked_label(project, label_id)
    alone = Image.objects.filter(boxes__label=label).exclude(
        pk__in=Annotation.objects.exclude(label=label).values('image')
    )
    kept = DeletedLabel.objects.create(
        project=project,
        name=label.name,
        images=[str(key) for key in Image.objects.filter(label=label).values_list('id', flat=True)],
        boxes=[_box_to_list(row) for row in Annotation.objects.filter(label=label)],
        boxed_images={str(image.pk): _boxed_to_list(image) for image in alone.distinct()},
        deleted_by_id=None if user is None else user.pk,
    )
    Image.objects.filter(pk__in=alone.values('pk')).update(boxed_at=None, boxed_by=None)
    labels.increment_box_versions(label)
    label.delete()
    return kept


def list_deleted_labels(project: Project) -> models.QuerySet[DeletedLabel]:
    """The classes in the trash, the last one first, without what makes them large."""
    return project.deleted_labels.defer('images', 'boxes', 'boxed_images')


def get_labels_before_deletion(deleted: DeletedLabel) -> dict[str, str | None]:
    """What labels.restore_labels needs: of the images that are not in the trash."""
    return {
        str(image.pk): deleted.name
        for chunk in labels.split_into_chunks(deleted.images)
        for image in _find_images(deleted, chunk).present()
    }


@transaction.atomic
def restore_label(project: Project, deleted_id: int) -> Label:
    """Bring a class back, with its name, on the images that got no other label meanwhile, and with its boxes.

    Where there is a class of its name again, that one takes them in. Images that left for good are passed over, and boxes that
    were drawn again are not doubled. Error: NotFoundError.
    """
    deleted = DeletedLabel.objects.select_for_update().filter(project=project, pk=deleted_id).first()
    if deleted is None:
        raise NotFoundError('There is no such deleted class.')
    label = labels.get_or_create_label(project, deleted.name)
    for chunk in labels.split_into_chunks(deleted.images):
        _find_images(deleted, chunk).filter(label=None).update(label=label)
    _restore_boxes(deleted, label)
    _restore_boxed_at(deleted)
    deleted.delete()
    return label


def _restore_boxes(deleted: DeletedLabel, label: Label) -> None:
    people = _existing_user_ids({row[6] for row in deleted.boxes})
    for rows in labels.split_into_chunks(deleted.boxes):
        images = {str(image.pk) for image in _find_images(deleted, {row[0] for row in rows})}
        again = {
            _box_key(row)
            for row in map(
                _box_to_list, Annotation.objects.filter(label=label, image__in=_find_images(deleted, images))
            )
        }
        missing = [row for row in rows if row[0] in images and _box_key(row) not in again]
        Annotation.objects.bulk_create(_box_from_list(row, label, people) for row in missing)
        Image.objects.filter(pk__in={row[0] for row in missing}).update(
            boxes_version=models.F('boxes_version') + 1
        )


def _restore_boxed_at(deleted: DeletedLabel) -> None:
    """Who looked at an image since keeps the look."""
    people = _existing_user_ids({who for _, who in deleted.boxed_images.values()})
    for chunk in labels.split_into_chunks(list(deleted.boxed_images)):
        images = list(_find_images(deleted, chunk).filter(boxed_at=None))
        for image in images:
            when, who = deleted.boxed_images[str(image.pk)]
            image.boxed_at = parse_datetime(when) if when else None
            image.boxed_by_id = who if who in people else None
        Image.objects.bulk_update(images, ['boxed_at', 'boxed_by'], batch_size=500)


def _existing_user_ids(ids: set[int | None]) -> set[int]:
    """Those of them whose account is still there."""
    return set(
        get_user_model()
        .objects.filter(pk__in=[key for key in ids if key is not None])
        .values_list('pk', flat=True)
    )


def _box_to_list(row: Annotation) -> list[Any]:
    return [str(row.image_id), row.x0, row.y0, row.x1, row.y1, row.difficult, row.added_by_id]


def _box_key(row: list[Any]) -> tuple[Any, ...]:
    return tuple(row[:5])


def _box_from_list(row: list[Any], label: Label, people: set[int]) -> Annotation:
    image, x0, y0, x1, y1, difficult, drawn_by = row
    who = drawn_by if drawn_by in people else None
    return Annotation(
        image_id=image, label=label, x0=x0, y0=y0, x1=x1, y1=y1, difficult=difficult, added_by_id=who
    )


def _boxed_to_list(image: Image) -> list[Any]:
    return [image.boxed_at and image.boxed_at.isoformat(), image.boxed_by_id]


def _find_images(deleted: DeletedLabel, ids: Iterable[str]) -> Any:
    return Image.objects.filter(project=deleted.project_id, pk__in=[uuid.UUID(key) for key in ids])
