"""Starting a training, following it and cancelling it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from recognition.datasets import projects
from recognition.errors import InvalidInputError
from recognition.jobs import queue, status
from recognition.models.project import Role
from recognition.pages import listings
from recognition.pages.decorators import action, page, require_user
from recognition.pages.forms import TrainingForm
from recognition.training import reports
from recognition.training.start import start_training
from recognition.zoo import catalog


@action
def create_training(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    sources = catalog.list_sources(require_user(request), project)
    choices = [(source.name, source.name) for source in sources]
    form = TrainingForm(request.POST, task=project.task, sources=choices)
    if not form.is_valid():
        raise InvalidInputError(form.get_first_error())
    start_training(project, require_user(request), form.get_options())
    return redirect('project', project.pk)


@action
def cancel_training(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    job = status.get_editable_training(require_user(request), job_id)
    queue.cancel(job, require_user(request))
    messages.info(request, 'The training is being stopped.')
    return redirect('project', job.project_id)


@page
def show_training(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    job = status.get_visible_training(require_user(request), job_id)
    assert job.project is not None  # it was found by its project
    context = {
        'job': job,
        'project': job.project,
        'status': reports.job_status(job),
        'models': job.models.order_by('version'),
        'events': job.events.all(),
        'may_edit': listings.get_role(require_user(request), job.project) != Role.VIEWER,
    }
    return render(request, 'training.html', context)
