"""Trainings: started, watched, called off."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api.documentation import PAGE, paged
from recognition.api.endpoint import Endpoint
from recognition.api.learning_schemas import TrainingIn, TrainingOut
from recognition.api.pagination import page_of
from recognition.datasets import projects
from recognition.jobs import queue, status
from recognition.training.start import start_training


class Trainings(Endpoint):
    @extend_schema(operation_id='list_trainings', parameters=PAGE, responses=paged(TrainingOut))
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        """The newest first."""
        project = projects.get_visible(self.person(), project_id)
        self.query()
        return page_of(project.jobs.all().trainings().prefetch_related('events'), request, self, TrainingOut)

    @extend_schema(operation_id='start_training', request=TrainingIn, responses={202: TrainingOut})
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """409 names what the project lacks; 429: too many of yours are waiting."""
        project = projects.get_editable(self.person(), project_id)
        job = start_training(project, self.person(), self.body(TrainingIn))
        return Response(TrainingOut(job).data, status=202)


class OneTraining(Endpoint):
    @extend_schema(operation_id='get_training', responses=TrainingOut)
    def get(self, request: Request, job_id: uuid.UUID) -> Response:
        return Response(TrainingOut(status.get_visible_training(self.person(), job_id)).data)


class CancelTraining(Endpoint):
    @extend_schema(operation_id='cancel_training', request=None, responses={202: TrainingOut})
    def post(self, request: Request, job_id: uuid.UUID) -> Response:
        """A waiting one ends at once, a running one within seconds. 409 when it has ended."""
        job = queue.cancel(status.get_editable_training(self.person(), job_id), self.person())
        return Response(TrainingOut(job).data, status=202)
