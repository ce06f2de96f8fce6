"""Labels: the classes of a project."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api.endpoint import Endpoint, paginate
from recognition.api.openapi import PAGE_PARAMETERS, make_page_schema
from recognition.api.schemas.labels import DeletedLabelResult, DeletedLabelsOut, LabelIn, LabelOut
from recognition.datasets import deleted_labels, labels, projects


class LabelListView(Endpoint):
    @extend_schema(
        operation_id='list_labels', parameters=PAGE_PARAMETERS, responses=make_page_schema(LabelOut)
    )
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        project = projects.get_visible(self.user, project_id)
        self.parse_query()
        return paginate(labels.list_labels_with_counts(project), request, self, LabelOut)

    @extend_schema(operation_id='create_label', request=LabelIn, responses={201: LabelOut})
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        project = projects.get_editable(self.user, project_id)
        label = labels.create_label(project, self.parse_body(LabelIn)['name'])
        return Response(LabelOut(labels.list_labels_with_counts(project).get(pk=label.pk)).data, status=201)


class LabelView(Endpoint):
    @extend_schema(operation_id='get_label', responses=LabelOut)
    def get(self, request: Request, project_id: uuid.UUID, label_id: int) -> Response:
        project = projects.get_visible(self.user, project_id)
        return Response(LabelOut(labels.get_label(project, label_id)).data)

    @extend_schema(operation_id='rename_label', request=LabelIn, responses=LabelOut)
    def patch(self, request: Request, project_id: uuid.UUID, label_id: int) -> Response:
        """Rename a label. The name of another label merges the two; the response is the one that remains."""
        project = projects.get_editable(self.user, project_id)
        labels.get_label(project, label_id)
        renamed = labels.rename_label(project, label_id, self.parse_body(LabelIn)['name'])
        return Response(LabelOut(labels.get_label(project, renamed.pk)).data)

    @extend_schema(operation_id='delete_label', responses=DeletedLabelResult)
    def delete(self, request: Request, project_id: uuid.UUID, label_id: int) -> Response:
        """Move a label to the trash, with its boxes. Its images stay, without a label."""
        project = projects.get_editable(self.user, project_id)
        deleted = deleted_labels.delete_label(project, label_id, self.user)
        previous = deleted_labels.get_labels_before_deletion(deleted)
        return Response({'previous_labels': previous, 'deleted_label': deleted.pk})


class DeletedLabelListView(Endpoint):
    @extend_schema(operation_id='list_deleted_labels', responses=DeletedLabelsOut)
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        """The labels in the trash, newest first."""
        project = projects.get_visible(self.user, project_id)
        self.parse_query()
        return Response(DeletedLabelsOut({'results': deleted_labels.list_deleted_labels(project)}).data)


class LabelRestoreView(Endpoint):
    @extend_schema(operation_id='restore_label', request=None, responses=LabelOut)
    def post(self, request: Request, project_id: uuid.UUID, deleted_id: int) -> Response:
        """Restore a label with its boxes, and on those of its images that have no other label now."""
        project = projects.get_editable(self.user, project_id)
        label = deleted_labels.restore_label(project, deleted_id)
        return Response(LabelOut(labels.get_label(project, label.pk)).data)
