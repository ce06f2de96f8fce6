"""One image large. (Its bytes, and every image coming in, go through REST.)"""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render

from recognition import labeling, projects
from recognition.models.project import Role, Task
from recognition.pages import overview
from recognition.pages.answers import page, person


@page
def show(request: HttpRequest, project_id: uuid.UUID, image_id: uuid.UUID) -> HttpResponse:
    project = projects.visible(request.user, project_id)
    image = labeling.image(project, image_id)
    if project.task == Task.DETECTION:
        return redirect('label-image', project.pk, image.pk)
    before, after = overview.neighbours(image)
    context = {
        'project': project,
        'image': image,
        'before': before,
        'after': after,
        'may_edit': overview.role_of(person(request), project) != Role.VIEWER,
        'labels': project.labels.all(),
    }
    return render(request, 'image.html', context)
