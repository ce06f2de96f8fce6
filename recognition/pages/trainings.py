"""Starting a training, watching it and calling it off."""

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
from recognition.pages.decorators import action, page, person
from recognition.pages.forms import DetectorForm, TrainingForm, training_form
from recognition.training import reports
from recognition.training.start import start_training
from recognition.zoo import catalog


@action
def start(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    form = training_form(project)(
        request.POST,
        sources=[(source.name, source.name) for source in catalog.list_sources(person(request), project)],
    )
    if not form.is_valid():
        raise InvalidInputError(_first_error(form))
    start_training(project, person(request), form.options())
    return redirect('project', project.pk)


def _first_error(form: TrainingForm | DetectorForm) -> str:
    field, errors = next(iter(form.errors.items()))
    label = form.fields[field].label if field in form.fields else field
    return f'{label or field.capitalize()}: {errors[0]}'


@action
def cancel(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    job = status.get_editable_training(person(request), job_id)
    queue.cancel(job, person(request))
    messages.info(request, 'The training is being stopped.')
    return redirect('project', job.project_id)


@page
def show(request: HttpRequest, job_id: uuid.UUID) -> HttpResponse:
    job = status.get_visible_training(person(request), job_id)
    assert job.project is not None  # it was found by its project
    context = {
        'job': job,
        'project': job.project,
        'status': reports.job_status(job),
        'models': job.models.order_by('version'),
        'events': job.events.all(),
        'may_edit': listings.role_of(person(request), job.project) != Role.VIEWER,
    }
    return render(request, 'training.html', context)
