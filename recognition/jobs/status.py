"""Find trainings that a user may see, and summarize any job for pages and REST."""

from __future__ import annotations

import uuid
from typing import Any

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


def summarize_progress(job: Job) -> dict[str, Any]:
    """Summarize a job for a page that polls it: state, whether it has ended, fraction (0 to 1), and a
    sentence.
    """
    progress = job.progress or {}
    return {
        'job': str(job.pk),
        'state': job.state,
        'shown': job.get_state_display(),
        'finished': job.state in ENDED,
        'fraction': 1.0 if job.state == 'succeeded' else float(progress.get('fraction', 0.0)),
        'message': job.error_message or progress.get('message', ''),
        'stopping': job.cancel_requested and job.state not in ENDED,
    }


def describe_lifecycle(job: Job) -> dict[str, Any]:
    """Describe a job's way from the queue to its end, as REST returns it for every kind of job."""
    return {
        'state': job.state,
        'finished': job.state in ENDED,
        'queue_position': queue.find_queue_position(job) if job.state == State.QUEUED else None,
        'cancel_requested': job.cancel_requested,
        'progress': job.progress or None,
        'error': {'code': job.error_code, 'message': job.error_message} if job.error_code else None,
        'created_at': job.created_at.isoformat(),
        'started_at': job.started_at and job.started_at.isoformat(),
        'finished_at': job.finished_at and job.finished_at.isoformat(),
    }
