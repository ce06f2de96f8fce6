"""Trainings found by those who may see them."""

from __future__ import annotations

import uuid

from django.contrib.auth.base_user import AbstractBaseUser

from recognition import projects
from recognition.errors import NotFound
from recognition.models import Job, Project


def visible(user: AbstractBaseUser, job_id: uuid.UUID) -> Job:
    rows = Job.objects.all().trainings().filter(project__in=Project.objects.visible_to(user))
    job = rows.filter(pk=job_id).select_related('project').first()
    if job is None:
        raise NotFound('There is no such training.')
    return job


def editable(user: AbstractBaseUser, job_id: uuid.UUID) -> Job:
    """NotAllowed for viewers of its project."""
    job = visible(user, job_id)
    projects.editable(user, str(job.project_id))
    return job
