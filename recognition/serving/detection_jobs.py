"""Detect at once or, where that would take long, in a job whose address the answer contains."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Q
from django.utils import timezone

from recognition import storage
from recognition.errors import ConflictError, NotFoundError, QueueFullError
from recognition.jobs import queue
from recognition.jobs.status import describe_lifecycle
from recognition.models import Job, Project, TrainedModel
from recognition.models.job import JobKind, JobQuerySet, State
from recognition.serving import prediction
from recognition.serving.prediction_results import DetectionResult
from transfer.spec.records import from_json, to_json

NamedImages = Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class DetectionJobSpec:
    """What a detection job is to do, as its row keeps it."""

    model: str  # id
    threshold: float | None  # None: the model's own
    names: tuple[str, ...]  # of the images, which lie in storage until the job ends


def detect_or_enqueue(
    model: TrainedModel,
    images: NamedImages,
    user: AbstractBaseUser,
    threshold: float | None = None,
    wait: bool | None = None,
) -> DetectionResult | Job:
    """Detect objects on images at once, or start a job where that is expected to take longer than
    MAX_DETECTION_SECONDS.

    wait: True detects at once and False starts a job, whatever is expected. Errors: as prediction.detect;
    QueueFullError.
    """
    if _is_slow(model, len(images)) if wait is None else not wait:
        return _start_job(model, images, user, threshold)
    return prediction.detect(model, [data for _, data in images], threshold)


def find_job(user: AbstractBaseUser, job_id: uuid.UUID) -> Job:
    """Find one of the user's own jobs, for as long as its result is kept; else NotFoundError."""
    rows = _list_kept().filter(pk=job_id, created_by_id=user.pk, project__in=Project.objects.visible_to(user))
    job = rows.first()
    if job is None:
        raise NotFoundError('There is no such detection job.')
    return job


def cancel(user: AbstractBaseUser, job_id: uuid.UUID) -> Job:
    """Cancel a waiting job at once, a running one within seconds. Errors: as `find_job`; ConflictError when
    it has ended.
    """
    job = find_job(user, job_id)
    if not queue.try_cancel(job):
        raise ConflictError(f'This {job.get_kind_display()} has ended already.')
    return job


def get_max_images_at_once(model: TrainedModel) -> int | None:
    """How many photos of one request are detected without a job; None where that is not known, or where all
    are.
    """
    seconds = prediction.estimate_seconds(model)
    if not seconds or settings.MAX_IMAGES_PER_PREDICTION * seconds <= settings.MAX_DETECTION_SECONDS:
        return None
    return int(settings.MAX_DETECTION_SECONDS // seconds)


def delete_expired() -> int:
    """Delete the jobs whose results were kept long enough, and those whose images never arrived; return how
    many.
    """
    expired = list(Job.objects.filter(kind=JobKind.DETECTION_JOB).exclude(pk__in=_list_kept().values('pk')))
    for job in expired:
        queue.delete_files(job)
        job.delete()
    return len(expired)


def read_spec(job: Job) -> DetectionJobSpec:
    return from_json(DetectionJobSpec, job.spec)


def describe_job(job: Job) -> dict[str, object]:
    """The JSON of a detection job. `result`: at its end, the JSON of its DetectionResult."""
    return {
        'id': str(job.pk),
        'model': read_spec(job).model,
        **describe_lifecycle(job),
        'result': job.result or None,
    }


def _list_kept() -> JobQuerySet:
    since = timezone.now() - timedelta(hours=settings.DETECTION_RESULT_HOURS)
    recent = Q(finished_at__gt=since) | Q(finished_at=None, created_at__gt=since)
    return Job.objects.filter(recent, kind=JobKind.DETECTION_JOB)


def _is_slow(model: TrainedModel, images: int) -> bool:
    return images * prediction.estimate_seconds(model) > settings.MAX_DETECTION_SECONDS


def _start_job(
    model: TrainedModel, images: NamedImages, user: AbstractBaseUser, threshold: float | None
) -> Job:
    photos = [data for _, data in images]
    prediction.validate_detection(model, photos, threshold)
    queued = Job.objects.filter(kind=JobKind.DETECTION_JOB, created_by_id=user.pk, state=State.QUEUED).count()
    if queued >= settings.MAX_QUEUED_DETECTIONS_PER_USER:
        raise QueueFullError(
            f'{queued} of your detection jobs are waiting already; try again when one has started.'
        )
    spec = DetectionJobSpec(str(model.pk), threshold, tuple(name for name, _ in images))
    # In a queue that no worker serves until its images are stored: a crash in between leaves a row, by which
    # they are found.
    job = Job.objects.create(
        kind=JobKind.DETECTION_JOB,
        project_id=model.project_id,
        created_by_id=user.pk,
        spec=to_json(spec),
        queue=queue.UPLOAD_QUEUE,
    )
    storage.save_detection_images(job.pk, photos)
    Job.objects.filter(pk=job.pk).update(queue=settings.SERVING_QUEUE)
    job.refresh_from_db()
    queue.enqueue(job)
    return job
