"""Purge the trash: delete rows and files of photos, classes and projects that were in it long enough.

Files of failed source imports are deleted too when their day is over (a worker's sweep also does it).
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from recognition import audit, storage
from recognition.models import DeletedLabel, Image, Project, Publication, TrainedModel
from recognition.zoo import catalog, import_jobs


@dataclass(frozen=True)
class PurgeCounts:
    projects: int
    images: int
    bytes: int  # of the photos; thumbnails and models come on top
    imports: int = 0  # failed source imports, with their files


def purge(older_than: timedelta) -> PurgeCounts:
    """Delete what was moved into the trash before that time. Rows are deleted first: a crash leaves files
    without a row, never a row without its files.
    """
    before = timezone.now() - older_than
    DeletedLabel.objects.filter(deleted_at__lt=before).delete()
    projects = images = size = 0
    for project in Project.objects.filter(deleted_at__lt=before):
        photos = list(project.images.all())
        if _purge_project(project):
            projects, images, size = (
                projects + 1,
                images + len(photos),
                size + sum(photo.size for photo in photos),
            )
    alone = [image for image in Image.objects.filter(deleted_at__lt=before) if _purge_image(image)]
    _delete_images(alone)
    return PurgeCounts(
        projects, images + len(alone), size + sum(image.size for image in alone), import_jobs.delete_expired()
    )


def _purge_image(image: Image) -> bool:
    """Returns False when it was restored meanwhile."""
    return bool(Image.objects.filter(pk=image.pk, deleted_at=image.deleted_at).delete()[0])


def _purge_project(project: Project) -> bool:
    """Returns False when it was restored meanwhile. The row is locked, so that no half-deleted project can be
    restored.
    """
    with transaction.atomic():
        if (
            not Project.objects.select_for_update()
            .filter(pk=project.pk, deleted_at=project.deleted_at)
            .exists()
        ):
            return False
        catalog.remove_unshared(project)
        audit.record(None, 'purge project', audit.describe_project(project))
        files = _delete_rows(project)
    _delete_files(files)
    return True


def delete_project_completely(project: Project) -> None:
    """Delete a project whose creation failed: its rows and its files."""
    _delete_files(_delete_rows(project))


@dataclass(frozen=True)
class _StoredFiles:
    """What is in storage for rows that were deleted."""

    images: list[Image]
    artifacts: list[str]
    trainings: list[uuid.UUID]


def _delete_rows(project: Project) -> _StoredFiles:
    images = list(project.images.all())
    artifacts = list(project.models.values_list('artifact', flat=True))
    trainings = list(project.jobs.values_list('pk', flat=True))
    with transaction.atomic():
        Publication.objects.filter(project=project).delete()  # they protect the models they point at
        TrainedModel.objects.filter(project=project).delete()
        project.delete()
    return _StoredFiles(images, artifacts, trainings)


def _delete_files(files: _StoredFiles) -> None:
    for name in files.artifacts:
        storage.delete_artifact(name)
    for job in files.trainings:
        storage.delete_training_folder(job)
        storage.delete_detection_images(job)
    _delete_images(files.images)


def _delete_images(images: Iterable[Image]) -> None:
    for image in images:
        storage.delete(image.key)
        storage.delete(image.thumbnail_key)
        storage.delete_cached('prelabels', image.digest)
        storage.delete_cached('proposals', image.digest)  # the name of that cache before v0.1.0
