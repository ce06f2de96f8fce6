"""The list of projects, a project's page with its three columns, and its members."""

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
from recognition.pages import listings
from recognition.pages.decorators import action, page, require_user
from recognition.pages.forms import MemberForm, TrainingForm
from recognition.pages.report import detector_charts
from recognition.serving import publishing
from recognition.training import reports
from recognition.training.readiness import check_readiness
from recognition.zoo import catalog

# Trainings listed in the middle column.
TRAININGS_SHOWN = 8


@page
def list_projects(request: HttpRequest) -> HttpResponse:
    context = {
        'summaries': listings.list_project_summaries(require_user(request)),
        'deleted_projects': projects.list_deleted(request.user),
    }
    return render(request, 'projects.html', context)


@action
def create_project(request: HttpRequest) -> HttpResponse:
    task = request.POST.get('task', Task.CLASSIFICATION)
    project = projects.create_project(require_user(request), request.POST.get('name', ''), task)
    return redirect('project', project.pk)


@page
def show_project(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_visible(request.user, project_id)
    role = listings.get_role(require_user(request), project)
    sources = [
        (source.name, f'{source.title or source.name} ({source.architecture})')
        for source in catalog.list_sources(require_user(request), project)
    ]
    context = {
        'project': project,
        'role': role,
        'may_edit': role != Role.VIEWER,
        'rows': listings.list_class_rows(project),
        'deleted_classes': deleted_labels.list_deleted_labels(project),
        'health': health.check_health(project),
        'training_form': TrainingForm(task=project.task, sources=sources),
        **_training_context(project),
        **_model_context(request, project),
    }
    return render(request, 'project.html', context)


def _training_context(project: Project) -> dict[str, object]:
    trainings = Job.objects.all().trainings().filter(project=project).prefetch_related('models')
    jobs = list(trainings[:TRAININGS_SHOWN])
    return {
        'jobs': jobs,
        'ended': [job for job in jobs if job.finished_at is not None],
        'running': next((job for job in jobs if job.finished_at is None), None),
        'readiness': check_readiness(project),
    }


def _model_context(request: HttpRequest, project: Project) -> dict[str, object]:
    models = list(TrainedModel.objects.filter(project=project).prefetch_related('publications'))
    model = next((model for model in models if not model.provisional), models[0] if models else None)
    report = reports.model_report(model) if model else {}
    publications = list(project.publications.select_related('model'))
    reference = publications[0].name if publications else str(model.pk) if model else ''
    return {
        'models': models,
        'model': model,
        'report': report,
        'cost': detector_charts.describe_cost(model, report) if model and report['detection'] else '',
        'publications': publications,
        'can_roll_back': {row.pk for row in publications if publishing.find_previous_model(row)},
        'suggested_name': publications[0].name if publications else slugify(project.name)[:80],
        'example_code': publishing.build_code_examples(
            request.build_absolute_uri('/'), reference, project.task
        ),
    }


@action
def rename_project(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    projects.rename_project(project, request.POST.get('name', ''))
    return redirect('project', project.pk)


@action
def change_task(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    projects.change_task(project, request.POST.get('task', ''))
    return redirect('project', project.pk)


@action
def delete_project(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_owned(request.user, project_id)
    projects.delete_project(project, require_user(request))
    messages.success(
        request, f'The project “{project.name}” was deleted. You can restore it under “Deleted projects”.'
    )
    return redirect('projects')


@action
def restore_project(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    return redirect('project', projects.restore_project(require_user(request), project_id).pk)


@page
def list_members(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_visible(request.user, project_id)
    context = {
        'project': project,
        'is_owner': listings.get_role(require_user(request), project) == Role.OWNER,
        'memberships': project.memberships.select_related('user').order_by('user__username'),
        'form': MemberForm(),
    }
    return render(request, 'members.html', context)


@action
def add_member(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    """Add a user to the project, or change the role of a member."""
    project = projects.get_owned(request.user, project_id)
    form = MemberForm(request.POST)
    if not form.is_valid():
        raise InvalidInputError('Enter a user name and choose a role.')
    projects.add_member(project, form.cleaned_data['username'], form.cleaned_data['role'])
    messages.success(request, f'{form.cleaned_data["username"]} was added to the project.')
    return redirect('members', project.pk)


@action
def remove_member(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_owned(request.user, project_id)
    username = request.POST.get('username', '')
    projects.remove_member(project, username)
    messages.success(request, f'{username} was removed from the project.')
    return redirect('members', project.pk)
