"""Trainings: start, follow and cancel them."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api.endpoint import Endpoint, paginate
from recognition.api.openapi import PAGE_PARAMETERS, make_page_schema
from recognition.api.schemas.trainings import TrainingIn, TrainingOut
from recognition.datasets import projects
from recognition.jobs import queue, status
from recognition.training.start import start_training


class TrainingListView(Endpoint):
    @extend_schema(
        operation_id='list_trainings', parameters=PAGE_PARAMETERS, responses=make_page_schema(TrainingOut)
    )
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        """Newest first."""
        project = projects.get_visible(self.user, project_id)
        self.parse_query()
        return paginate(project.jobs.all().trainings().prefetch_related('events'), request, self, TrainingOut)

    @extend_schema(operation_id='start_training', request=TrainingIn, responses={202: TrainingOut})
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Queue a training.

        409: the project is not ready (`message` says why). 429: too many of yours are waiting.
        """
        project = projects.get_editable(self.user, project_id)
        job = start_training(project, self.user, self.parse_body(TrainingIn))
        return Response(TrainingOut(job).data, status=202)


class TrainingView(Endpoint):
    @extend_schema(operation_id='get_training', responses=TrainingOut)
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        return Response(TrainingOut(status.get_visible_training(self.user, job_id)).data)


class TrainingCancelView(Endpoint):
    @extend_schema(operation_id='cancel_training', request=None, responses={202: TrainingOut})
    def post(self, request: Request, job_id: uuid.UUID) -> Response:
        """Cancel a training: a queued one ends immediately, a running one within seconds.

        409 if it has ended.
        """
        job = queue.cancel(status.get_editable_training(self.user, job_id), self.user)
        return Response(TrainingOut(job).data, status=202)
