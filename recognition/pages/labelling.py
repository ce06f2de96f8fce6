"""The page where boxes are drawn. (Every box goes to and from the server through REST.)"""

from __future__ import annotations

import uuid

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from recognition.datasets import box_annotations, labels, projects
from recognition.errors import NotFoundError
from recognition.models.project import Role, Task
from recognition.pages import listings
from recognition.pages.decorators import page, person
from recognition.serving import prelabels

ANY = uuid.UUID(int=0)  # in addresses, where the page puts an image's id


@page
def show(request: HttpRequest, project_id: uuid.UUID, image_id: uuid.UUID | None = None) -> HttpResponse:
    """A photo and its boxes; without an image_id the first that nobody has looked at."""
    project = projects.get_visible(request.user, project_id)
    if image_id is not None:
        labels.get_image(project, image_id)
    if project.task != Task.DETECTION:
        raise NotFoundError('Whole photos have a class; there are no boxes to draw.')
    states = box_annotations.list_states(project)
    if not states:
        messages.info(request, 'Add photos first; then draw boxes on them.')
        return redirect('project', project.pk)
    start = image_id or next((key for key, state in states if state == 'unlabelled'), states[0][0])
    context = {
        'project': project,
        'images': [(str(key), state) for key, state in states],
        'labels': [label.name for label in project.labels.all()],
        'start': start,
        'any': ANY,
        'detector': prelabels.find_detector(project),
        'may_edit': listings.role_of(person(request), project) != Role.VIEWER,
    }
    return render(request, 'label.html', context)
