"""One image large. (Its bytes, and every image coming in, go through REST.)"""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from recognition.datasets import labels, projects
from recognition.models.project import Role, Task
from recognition.pages import listings
from recognition.pages.decorators import page, person


@page
def show(request: HttpRequest, project_id: uuid.UUID, image_id: uuid.UUID) -> HttpResponse:
    project = projects.get_visible(request.user, project_id)
    image = labels.get_image(project, image_id)
    if project.task == Task.DETECTION:
        return redirect('label-image', project.pk, image.pk)
    before, after = listings.neighbours(image)
    context = {
        'project': project,
        'image': image,
        'before': before,
        'after': after,
        'may_edit': listings.role_of(person(request), project) != Role.VIEWER,
        'labels': project.labels.all(),
    }
    return render(request, 'image.html', context)
