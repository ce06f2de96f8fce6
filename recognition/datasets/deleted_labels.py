"""Delete and restore classes. A deleted one stays in the trash, with its images and boxes, until the trash is
purged.
"""

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
    """Move a class into the trash with its boxes; its images stay, without a label.

    An image that had no other boxes becomes unlabelled, not empty. Error: NotFoundError.
    """
    label = labels.get_locked_label(project, label_id)
    alone = Image.objects.filter(boxes__label=label).exclude(
        pk__in=Annotation.objects.exclude(label=label).values('image')
    )
    deleted = DeletedLabel.objects.create(
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
    return deleted


def list_deleted_labels(project: Project) -> models.QuerySet[DeletedLabel]:
    """The classes in the trash, the last one first, without their large columns."""
    return project.deleted_labels.defer('images', 'boxes', 'boxed_images')


def get_labels_before_deletion(deleted: DeletedLabel) -> dict[str, str | None]:
    """The labels before the deletion, for labels.restore_labels: of the images that are not in the trash."""
    return {
        str(image.pk): deleted.name
        for chunk in labels.split_into_chunks(deleted.images)
        for image in _find_images(deleted, chunk).present()
    }


@transaction.atomic
def restore_label(project: Project, deleted_id: int) -> Label:
    """Restore a class, with its boxes, on the images that got no other label meanwhile.

    When there is a class of its name again, that one gets them. Images that were purged are skipped, and
    boxes that were drawn again are not duplicated. Error: NotFoundError.
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
    """Restore boxed_at and boxed_by of images that are unlabelled; a user may have boxed one since."""
    people = _existing_user_ids({who for _, who in deleted.boxed_images.values()})
    for chunk in labels.split_into_chunks(list(deleted.boxed_images)):
        images = list(_find_images(deleted, chunk).filter(boxed_at=None))
        for image in images:
            when, who = deleted.boxed_images[str(image.pk)]
            image.boxed_at = parse_datetime(when) if when else None
            image.boxed_by_id = who if who in people else None
        Image.objects.bulk_update(images, ['boxed_at', 'boxed_by'], batch_size=500)


def _existing_user_ids(ids: set[int | None]) -> set[int]:
    """Those of the ids whose users still exist."""
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
