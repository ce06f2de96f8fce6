"""The classes of a project and all images of one. Moving, deleting and restoring images go through the REST
API."""

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
from recognition.pages.decorators import action, page, require_user

IMAGES_PER_PAGE = 60


@page
def show_class(request: HttpRequest, project_id: uuid.UUID, label_id: int | None = None) -> HttpResponse:
    """All images of a class; without a label_id the unlabelled ones."""
    project = projects.get_visible(request.user, project_id)
    label = None if label_id is None else _find_label(project, label_id)
    images = (
        labels.filter_images(project, labelled=False)
        if label is None
        else labels.filter_images(project, label=label.name)
    )
    pages = Paginator(images.order_by('-created_at', 'id'), IMAGES_PER_PAGE)
    context = {
        'project': project,
        'label': label,
        'labels': project.labels.all(),
        'images': pages.get_page(request.GET.get('page')),
        'may_edit': listings.get_role(require_user(request), project) != Role.VIEWER,
    }
    return render(request, 'class.html', context)


def _find_label(project: Project, label_id: int) -> Label:
    label = project.labels.filter(pk=label_id).first()
    if label is None:
        raise NotFoundError('There is no such class.')
    return label


@action
def create_class(request: HttpRequest, project_id: uuid.UUID) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    labels.create_label(project, request.POST.get('name', ''))
    return redirect('project', project.pk)


@action
def rename_class(request: HttpRequest, project_id: uuid.UUID, label_id: int) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    label = labels.rename_label(project, label_id, request.POST.get('name', ''))
    if label.pk != label_id:
        messages.success(request, f'The two classes were merged into “{label.name}”.')
    return redirect('class', project.pk, label.pk)


@action
def delete_class(request: HttpRequest, project_id: uuid.UUID, label_id: int) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    deleted = deleted_labels.delete_label(project, label_id, require_user(request))
    boxes, photos = len(deleted.boxes), len(deleted.images)
    sentences = [f'The class “{deleted.name}” was deleted.']
    if boxes:
        sentences = [f'The class “{deleted.name}” was deleted with {boxes} box{"" if boxes == 1 else "es"}.']
    if photos:
        sentences.append(f'{photos} photo{" is" if photos == 1 else "s are"} now without a class.')
    sentences.append('You can restore it under “Deleted classes”.')
    messages.success(request, ' '.join(sentences))
    return redirect('project', project.pk)


@action
def restore_class(request: HttpRequest, project_id: uuid.UUID, deleted_id: int) -> HttpResponse:
    project = projects.get_editable(request.user, project_id)
    label = deleted_labels.restore_label(project, deleted_id)
    messages.success(request, f'The class “{label.name}” was restored.')
    return redirect('project', project.pk)
