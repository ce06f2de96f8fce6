"""The classes of a project."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from recognition import labeling, projects
from recognition.api.documentation import PAGE, paged
from recognition.api.endpoint import Endpoint
from recognition.api.pagination import page_of
from recognition.api.schemas import LabelIn, LabelOut, PreviousLabels


class Labels(Endpoint):
    @extend_schema(operation_id='list_labels', parameters=PAGE, responses=paged(LabelOut))
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        project = projects.visible(self.person(), project_id)
        self.query()
        return page_of(labeling.counted(project), request, self, LabelOut)

    @extend_schema(operation_id='create_label', request=LabelIn, responses={201: LabelOut})
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        project = projects.editable(self.person(), project_id)
        label = labeling.create_label(project, self.body(LabelIn)['name'])
        return Response(LabelOut(labeling.counted(project).get(pk=label.pk)).data, status=201)


class OneLabel(Endpoint):
    @extend_schema(operation_id='get_label', responses=LabelOut)
    def get(self, request: Request, project_id: uuid.UUID, label_id: int) -> Response:
        project = projects.visible(self.person(), project_id)
        return Response(LabelOut(labeling.label(project, label_id)).data)

    @extend_schema(operation_id='rename_label', request=LabelIn, responses=LabelOut)
    def patch(self, request: Request, project_id: uuid.UUID, label_id: int) -> Response:
        """Taking the name of another label merges the two; the answer is the one that stays."""
        project = projects.editable(self.person(), project_id)
        labeling.label(project, label_id)
        kept = labeling.rename_label(project, label_id, self.body(LabelIn)['name'])
        return Response(LabelOut(labeling.label(project, kept.pk)).data)

    @extend_schema(operation_id='delete_label', responses=PreviousLabels)
    def delete(self, request: Request, project_id: uuid.UUID, label_id: int) -> Response:
        """Its images stay, unlabelled."""
        project = projects.editable(self.person(), project_id)
        return Response({'previous': labeling.delete_label(project, label_id)})
