"""Find trainings that a user may see, and summarize any job for pages and REST."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TypedDict

from django.contrib.auth.base_user import AbstractBaseUser

from recognition.datasets import projects
from recognition.errors import NotFoundError
from recognition.jobs import queue
from recognition.models import Job, Project
from recognition.models.job import ENDED, State


def get_visible_training(user: AbstractBaseUser, job_id: uuid.UUID) -> Job:
    """Error: NotFoundError, also when the user is not a member of its project."""
    rows = Job.objects.all().trainings().filter(project__in=Project.objects.visible_to(user))
    job = rows.filter(pk=job_id).select_related('project').first()
    if job is None:
        raise NotFoundError('There is no such training.')
    return job


def get_editable_training(user: AbstractBaseUser, job_id: uuid.UUID) -> Job:
    """As get_visible_training; NotAllowedError for viewers of its project."""
    job = get_visible_training(user, job_id)
    projects.get_editable(user, str(job.project_id))
    return job


@dataclass(frozen=True)
class JobProgress:
    """A job as a page shows it while it polls."""

    job: str
    state: str
    shown: str  # the state, for people
    finished: bool
    fraction: float | None  # 0 to 1; None where it cannot be known
    message: str
    stopping: bool


def summarize_progress(job: Job) -> JobProgress:
    progress = job.progress or {}
    return JobProgress(
        job=str(job.pk),
        state=job.state,
        shown=job.get_state_display(),
        finished=job.state in ENDED,
        fraction=1.0 if job.state == State.SUCCEEDED else float(progress.get('fraction', 0.0)),
        message=job.error_message or progress.get('message', ''),
        stopping=job.cancel_requested and job.state not in ENDED,
    )


class JobLifecycle(TypedDict):
    """A job's way from the queue to its end, as REST returns it for every kind of job."""

    state: str
    finished: bool
    queue_position: int | None
    cancel_requested: bool
    progress: object  # the last transfer.spec.report.Progress as JSON; None before the first
    error: dict[str, str] | None
    created_at: str
    started_at: str | None
    finished_at: str | None


def describe_lifecycle(job: Job) -> JobLifecycle:
    return {
        'state': job.state,
        'finished': job.state in ENDED,
        'queue_position': queue.find_queue_position(job) if job.state == State.QUEUED else None,
        'cancel_requested': job.cancel_requested,
        'progress': job.progress or None,
        'error': {'code': job.error_code, 'message': job.error_message} if job.error_code else None,
        'created_at': job.created_at.isoformat(),
        'started_at': job.started_at.isoformat() if job.started_at else None,
        'finished_at': job.finished_at.isoformat() if job.finished_at else None,
    }
