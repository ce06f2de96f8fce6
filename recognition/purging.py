"""What was deleted leaves for good: rows and bytes of photos and projects that lay in the trash long enough."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.utils import timezone

from recognition import audit, storage, zoo
from recognition.models import Image, Project, Publication, TrainedModel


@dataclass(frozen=True)
class Purged:
    projects: int
    images: int
    bytes: int  # of the photos; thumbnails and models come on top


def purge(older_than: timedelta) -> Purged:
    """Delete what was put into the trash before that time. Rows go first: what a crash leaves is bytes without a row,
    never a row without its bytes."""
    before = timezone.now() - older_than
    photos = size = count = 0
    for project in Project.objects.filter(deleted_at__lt=before):
        images = list(project.images.all())
        _purge_project(project, images)
        count, photos, size = count + 1, photos + len(images), size + sum(image.size for image in images)
    images = [image for image in Image.objects.filter(deleted_at__lt=before) if _purge_row(image)]
    _drop_photos(images)
    return Purged(count, photos + len(images), size + sum(image.size for image in images))


def _purge_row(image: Image) -> bool:
    """False when it was restored meanwhile."""
    return bool(Image.objects.filter(pk=image.pk, deleted_at=image.deleted_at).delete()[0])


def _purge_project(project: Project, images: list[Image]) -> None:
    artifacts = list(project.models.values_list('artifact', flat=True))
    trainings = list(project.jobs.values_list('pk', flat=True))
    zoo.let_go(project)
    with transaction.atomic():
        Publication.objects.filter(project=project).delete()  # they protect the models they point at
        TrainedModel.objects.filter(project=project).delete()
        audit.record(None, 'purge project', f'{project.pk} {project.name}')
        project.delete()
    for name in artifacts:
        storage.delete_artifact(name)
    for job in trainings:
        storage.drop_training_folder(job)
    _drop_photos(images)


def _drop_photos(images: Iterable[Image]) -> None:
    for image in images:
        storage.delete(image.key)
        storage.delete(image.thumbnail_key)
        storage.drop_cached('proposals', image.digest)  # what detectors saw on it
