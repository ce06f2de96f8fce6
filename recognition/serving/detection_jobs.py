"""Photos to look at: answered at once or, where that would take long, by a job whose address the answer has."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Q
from django.utils import timezone

from recognition import storage
from recognition.errors import ConflictError, NotFoundError, QueueFullError
from recognition.jobs import queue
from recognition.jobs.status import describe_lifecycle
from recognition.models import Job, Project, TrainedModel
from recognition.models.job import JobKind, State
from recognition.serving import prediction

Named = Sequence[tuple[str, bytes]]


def detect_or_enqueue(
    model: TrainedModel,
    images: Named,
    user: AbstractBaseUser,
    threshold: float | None = None,
    wait: bool | None = None,
) -> dict[str, Any] | Job:
    """What is where on each image, as prediction.record tells it, or the job that will tell it.

    A job where that is expected to take longer than MAX_DETECTION_SECONDS; `wait` decides it whatever is expected.
    Errors: as prediction.detect; QueueFullError.
    """
    if _is_slow(model, len(images)) if wait is None else not wait:
        return _enqueue(model, images, user, threshold)
    detected = prediction.detect(model, [data for _, data in images], threshold)
    return prediction.record(model, [name for name, _ in images], detected)


def find_job(user: AbstractBaseUser, job_id: uuid.UUID) -> Job:
    """A job of this person's own, for as long as its answer is kept; else NotFoundError."""
    rows = _list_kept().filter(pk=job_id, created_by_id=user.pk, project__in=Project.objects.visible_to(user))
    job = rows.first()
    if job is None:
        raise NotFoundError('There is no such detection.')
    return job


def cancel(user: AbstractBaseUser, job_id: uuid.UUID) -> Job:
    """End a waiting one at once, a running one within seconds. Errors: as `find`; ConflictError when it has ended."""
    job = find_job(user, job_id)
    if not queue.try_cancel(job):
        raise ConflictError(f'This {job.get_kind_display()} has ended already.')
    return job


def get_max_images_at_once(model: TrainedModel) -> int | None:
    """How many photos of one request are answered without a job; None where that is not known, or where all are."""
    seconds = prediction.estimate_seconds(model)
    if not seconds or settings.MAX_IMAGES_PER_PREDICTION * seconds <= settings.MAX_DETECTION_SECONDS:
        return None
    return int(settings.MAX_DETECTION_SECONDS // seconds)


def delete_expired() -> int:
    """Delete the answers that were kept long enough, and what never came to be asked; how many."""
    old = Job.objects.filter(kind=JobKind.DETECTION_JOB).exclude(pk__in=_list_kept().values('pk'))
    forgotten = list(old)
    for job in forgotten:
        queue.delete_files(job)
        job.delete()
    return len(forgotten)


def _list_kept() -> Any:
    since = timezone.now() - timedelta(hours=settings.DETECTION_RESULT_HOURS)
    return Job.objects.filter(
        Q(finished_at__gt=since) | Q(finished_at=None, created_at__gt=since), kind=JobKind.DETECTION_JOB
    )


def _is_slow(model: TrainedModel, images: int) -> bool:
    return images * prediction.estimate_seconds(model) > settings.MAX_DETECTION_SECONDS


def _enqueue(model: TrainedModel, images: Named, user: AbstractBaseUser, threshold: float | None) -> Job:
    photos = [data for _, data in images]
    prediction.validate_detection(model, photos, threshold)
    waiting = Job.objects.filter(
        kind=JobKind.DETECTION_JOB, created_by_id=user.pk, state=State.QUEUED
    ).count()
    if waiting >= settings.MAX_QUEUED_DETECTIONS_PER_USER:
        raise QueueFullError(
            f'{waiting} of your detections are waiting already; come back when one has ended.'
        )
    spec = {'model': str(model.pk), 'threshold': threshold, 'names': [name for name, _ in images]}
    # In a queue that no worker serves until its photos are there: a crash in between leaves a row, by which they are found.
    job = Job.objects.create(
        kind=JobKind.DETECTION_JOB,
        project_id=model.project_id,
        created_by_id=user.pk,
        spec=spec,
        queue=queue.UPLOAD_QUEUE,
    )
    storage.save_detection_images(job.pk, photos)
    Job.objects.filter(pk=job.pk).update(queue=settings.SERVING_QUEUE)
    job.refresh_from_db()
    queue.enqueue(job)
    return job


def describe_job(job: Job) -> dict[str, Any]:
    """Where photos to look at are. `result`: once it is there, what a detection answers that nobody had to come back for."""
    return {
        'id': str(job.pk),
        'model': job.spec['model'],
        **describe_lifecycle(job),
        'result': job.result or None,
    }
