"""The list of projects, a project's page with its three columns, and who may see it."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.text import slugify

from recognition.datasets import deleted_labels, health, projects
from recognition.errors import InvalidInputError
from recognition.models import Job, Project, TrainedModel
from recognition.models.project import Role, Task
from recognition.pages import detector_plots, listings
from recognition.pages.decorators import action, page, person
from recognition.pages.forms import MemberForm, training_form
from recognition.serving import publishing
from recognition.training import reports
from recognition.training.readiness import check_readiness
from recognition.zoo import catalog

HISTORY = 8  # trainings listed in the middle column


@page
def listing(request: HttpRequest) -> HttpResponse:
    return render(
        request,
        'projects.html',
        {'cards': listings.project_cards(person(request)), 'put_away': projects.list_deleted(request.user)},
    )


@action
def create(request: HttpRequest) -> HttpResponse:
    task = request.POST.get('task', Task.CLASSIFICATION)
    project = projects.create_project(person(request), request.POST.get('name', ''), task)
    return redirect('project', project.pk)


@page
def show(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_visible(request.user, project_id)
    role = listings.role_of(person(request), project)
    context = {
        'project': project,
        'role': role,
        'may_edit': role != Role.VIEWER,
        'rows': listings.class_rows(project),
        'deleted_classes': deleted_labels.list_deleted_labels(project),
        'health': health.check_health(project),
        'training_form': training_form(project)(sources=_sources(request, project)),
        **_training_context(project),
        **_model_context(request, project),
    }
    return render(request, 'project.html', context)


def _sources(request: HttpRequest, project: Project) -> list[tuple[str, str]]:
    sources = catalog.list_sources(person(request), project)
    return [(source.name, f'{source.title or source.name} ({source.architecture})') for source in sources]


def _training_context(project: Project) -> dict[str, object]:
    jobs = list(Job.objects.all().trainings().filter(project=project).prefetch_related('models')[:HISTORY])
    return {
        'jobs': jobs,
        'ended': [job for job in jobs if job.finished_at is not None],
        'running': next((job for job in jobs if job.finished_at is None), None),
        'readiness': check_readiness(project),
    }


def _model_context(request: HttpRequest, project: Project) -> dict[str, object]:
    models = list(TrainedModel.objects.filter(project=project).prefetch_related('publications'))
    model = next((model for model in models if not model.provisional), models[0] if models else None)
    told = reports.model_report(model) if model else {}
    publications = list(project.publications.select_related('model'))
    called = publications[0].name if publications else str(model.pk) if model else ''
    return {
        'models': models,
        'model': model,
        'told': told,
        'cost': detector_plots.cost(model, told) if model and told['detection'] else '',
        'publications': publications,
        'with_a_way_back': {found.pk for found in publications if publishing.find_previous_model(found)},
        'suggested_name': publications[0].name if publications else slugify(project.name)[:80],
        'lines': publishing.build_code_examples(request.build_absolute_uri('/'), called, project.task),
    }


@action
def rename(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    projects.rename_project(project, request.POST.get('name', ''))
    return redirect('project', project.pk)


@action
def change_task(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    projects.change_task(project, request.POST.get('task', ''))
    return redirect('project', project.pk)


@action
def delete(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_owned(request.user, project_id)
    projects.delete_project(project, person(request))
    messages.success(
        request, f'The project “{project.name}” was deleted. You find it below, to take it back.'
    )
    return redirect('projects')


@action
def restore(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    return redirect('project', projects.restore_project(person(request), project_id).pk)


@page
def members(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_visible(request.user, project_id)
    context = {
        'project': project,
        'is_owner': listings.role_of(person(request), project) == Role.OWNER,
        'memberships': project.memberships.select_related('user').order_by('user__username'),
        'form': MemberForm(),
    }
    return render(request, 'members.html', context)


@action
def share(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_owned(request.user, project_id)
    form = MemberForm(request.POST)
    if not form.is_valid():
        raise InvalidInputError('Give the name of a person and what she may do.')
    projects.add_member(project, form.cleaned_data['username'], form.cleaned_data['role'])
    messages.success(request, f'{form.cleaned_data["username"]} is in.')
    return redirect('members', project.pk)


@action
def unshare(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_owned(request.user, project_id)
    projects.remove_member(project, request.POST.get('username', ''))
    return redirect('members', project.pk)
