"""The classes of a project."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api.documentation import PAGE, paged
from recognition.api.endpoint import Endpoint
from recognition.api.pagination import page_of
from recognition.api.schemas import DeletedLabelsOut, DeletedOut, LabelIn, LabelOut
from recognition.datasets import deleted_labels, labels, projects


class Labels(Endpoint):
    @extend_schema(operation_id='list_labels', parameters=PAGE, responses=paged(LabelOut))
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        project = projects.get_visible(self.person(), project_id)
        self.query()
        return page_of(labels.list_labels_with_counts(project), request, self, LabelOut)

    @extend_schema(operation_id='create_label', request=LabelIn, responses={201: LabelOut})
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        project = projects.get_editable(self.person(), project_id)
        label = labels.create_label(project, self.body(LabelIn)['name'])
        return Response(LabelOut(labels.list_labels_with_counts(project).get(pk=label.pk)).data, status=201)


class OneLabel(Endpoint):
    @extend_schema(operation_id='get_label', responses=LabelOut)
    def get(self, request: Request, project_id: uuid.UUID, label_id: int) -> Response:
        project = projects.get_visible(self.person(), project_id)
        return Response(LabelOut(labels.get_label(project, label_id)).data)

    @extend_schema(operation_id='rename_label', request=LabelIn, responses=LabelOut)
    def patch(self, request: Request, project_id: uuid.UUID, label_id: int) -> Response:
        """Taking the name of another label merges the two; the answer is the one that stays."""
        project = projects.get_editable(self.person(), project_id)
        labels.get_label(project, label_id)
        kept = labels.rename_label(project, label_id, self.body(LabelIn)['name'])
        return Response(LabelOut(labels.get_label(project, kept.pk)).data)

    @extend_schema(operation_id='delete_label', responses=DeletedOut)
    def delete(self, request: Request, project_id: uuid.UUID, label_id: int) -> Response:
        """Into the trash, with its boxes. Its images stay, unlabelled."""
        project = projects.get_editable(self.person(), project_id)
        deleted = deleted_labels.delete_label(project, label_id, self.person())
        return Response(
            {'previous': deleted_labels.get_labels_before_deletion(deleted), 'deleted': deleted.pk}
        )


class DeletedLabels(Endpoint):
    @extend_schema(operation_id='list_deleted_labels', responses=DeletedLabelsOut)
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        """The classes in the trash, the last one first."""
        project = projects.get_visible(self.person(), project_id)
        self.query()
        return Response(DeletedLabelsOut({'results': deleted_labels.list_deleted_labels(project)}).data)


class RestoreLabel(Endpoint):
    @extend_schema(operation_id='restore_label', request=None, responses=LabelOut)
    def post(self, request: Request, project_id: uuid.UUID, deleted_id: int) -> Response:
        """Out of the trash, with its boxes, and on the images that got no other label meanwhile."""
        project = projects.get_editable(self.person(), project_id)
        label = deleted_labels.restore_label(project, deleted_id)
        return Response(LabelOut(labels.get_label(project, label.pk)).data)
