"""One image at full size, and the page where boxes are drawn. Every change on these pages goes through the
REST API."""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from recognition.datasets import box_annotations, labels, projects
from recognition.errors import NotFoundError
from recognition.models.project import Role, Task
from recognition.pages import listings
from recognition.pages.decorators import page, require_user
from recognition.serving import prelabels

# Stands in the page's URLs where its script puts the id of an image.
ID_PLACEHOLDER = uuid.UUID(int=0)


@page
def show_image(request: HttpRequest, project_id: uuid.UUID, image_id: uuid.UUID) -> HttpResponse:
    project = projects.get_visible(request.user, project_id)
    image = labels.get_image(project, image_id)
    if project.task == Task.DETECTION:
        return redirect('label-image', project.pk, image.pk)
    newer, older = listings.find_neighbours(image)
    context = {
        'project': project,
        'image': image,
        'newer': newer,
        'older': older,
        'may_edit': listings.get_role(require_user(request), project) != Role.VIEWER,
        'labels': project.labels.all(),
    }
    return render(request, 'image.html', context)


@page
def draw_boxes(
    request: HttpRequest, project_id: uuid.UUID, image_id: uuid.UUID | None = None
) -> HttpResponse:
    """An image and its boxes; without an image_id the first unlabelled one."""
    project = projects.get_visible(request.user, project_id)
    if image_id is not None:
        labels.get_image(project, image_id)
    if project.task != Task.DETECTION:
        raise NotFoundError('This project classifies whole photos, so there are no boxes to draw.')
    states = box_annotations.list_states(project)
    if not states:
        messages.info(request, 'Add photos first, then draw boxes on them.')
        return redirect('project', project.pk)
    start = image_id or next((key for key, state in states if state == 'unlabelled'), states[0][0])
    context = {
        'project': project,
        'images': [(str(key), state) for key, state in states],
        'labels': [label.name for label in project.labels.all()],
        'start': start,
        'id_placeholder': ID_PLACEHOLDER,
        'detector': prelabels.find_detector(project),
        'may_edit': listings.get_role(require_user(request), project) != Role.VIEWER,
    }
    return render(request, 'label.html', context)
