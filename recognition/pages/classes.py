"""The classes of a project and all images of one. (Moving, deleting and bringing back go through REST.)"""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.core.paginator import Paginator
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from recognition.datasets import deleted_labels, labels, projects
from recognition.errors import NotFoundError
from recognition.models import Label, Project
from recognition.models.project import Role
from recognition.pages import listings
from recognition.pages.decorators import action, page, person

PAGE = 60  # images


@page
def show(request: HttpRequest, project_id: uuid.UUID, label_id: int | None = None) -> HttpResponse:
    """All images of a class; without a label_id the unlabelled ones."""
    project = projects.get_visible(request.user, project_id)
    label = None if label_id is None else _label(project, label_id)
    images = (
        labels.filter_images(project, labelled=False)
        if label is None
        else labels.filter_images(project, label=label.name)
    )
    context = {
        'project': project,
        'label': label,
        'labels': project.labels.all(),
        'images': Paginator(images.order_by('-created_at', 'id'), PAGE).get_page(request.GET.get('page')),
        'may_edit': listings.role_of(person(request), project) != Role.VIEWER,
    }
    return render(request, 'class.html', context)


def _label(project: Project, label_id: int) -> Label:
    label = project.labels.filter(pk=label_id).first()
    if label is None:
        raise NotFoundError('There is no such class.')
    return label


@action
def create(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    labels.create_label(project, request.POST.get('name', ''))
    return redirect('project', project.pk)


@action
def rename(request: HttpRequest, project_id: uuid.UUID, label_id: int) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    label = labels.rename_label(project, label_id, request.POST.get('name', ''))
    if label.pk != label_id:
        messages.success(request, f'The two classes are now one: “{label.name}”.')
    return redirect('class', project.pk, label.pk)


@action
def delete(request: HttpRequest, project_id: uuid.UUID, label_id: int) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    gone = deleted_labels.delete_label(project, label_id, person(request))
    freed = f'; {len(gone.photos)} images are unlabelled now' if gone.photos else ''
    lost = f' with {len(gone.boxes)} boxes' if gone.boxes else ''
    messages.success(
        request,
        f'The class “{gone.name}” is gone{lost}{freed}. You find it below the classes, to take it back.',
    )
    return redirect('project', project.pk)


@action
def restore(request: HttpRequest, project_id: uuid.UUID, deleted_id: int) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    label = deleted_labels.restore_label(project, deleted_id)
    messages.success(request, f'The class “{label.name}” is back.')
    return redirect('project', project.pk)
