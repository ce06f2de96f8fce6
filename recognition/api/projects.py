"""Projects, their members and the health of their data."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api.endpoint import Endpoint, paginate
from recognition.api.openapi import PAGE_PARAMETERS, make_page_schema
from recognition.api.schemas.projects import (
    HealthOut,
    MemberIn,
    MemberOut,
    ProjectChange,
    ProjectIn,
    ProjectOut,
)
from recognition.datasets import health as dataset_health
from recognition.datasets import projects
from recognition.models import Project
from recognition.training.readiness import check_readiness


class ProjectListView(Endpoint):
    @extend_schema(
        operation_id='list_projects', parameters=PAGE_PARAMETERS, responses=make_page_schema(ProjectOut)
    )
    def get(self, request: Request) -> Response:
        self.parse_query()
        return paginate(Project.objects.visible_to(self.user), request, self, ProjectOut)

    @extend_schema(operation_id='create_project', request=ProjectIn, responses={201: ProjectOut})
    def post(self, request: Request) -> Response:
        project = projects.create_project(self.user, **self.parse_body(ProjectIn))
        return Response(ProjectOut(project).data, status=201)


class ProjectView(Endpoint):
    @extend_schema(operation_id='get_project', responses=ProjectOut)
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        return Response(ProjectOut(projects.get_visible(self.user, project_id)).data)

    @extend_schema(operation_id='change_project', request=ProjectChange, responses=ProjectOut)
    def patch(self, request: Request, project_id: uuid.UUID) -> Response:
        """Rename the project, or change its task while no image is labelled and nothing was trained."""
        project = projects.get_editable(self.user, project_id)
        changes = self.parse_body(ProjectChange)
        return Response(ProjectOut(projects.change_project(project, **changes)).data)

    @extend_schema(operation_id='delete_project', responses={204: None})
    def delete(self, request: Request, project_id: uuid.UUID) -> Response:
        """Move the project to the trash.

        Its published names answer 404. It can be restored until the trash is purged.
        """
        projects.delete_project(projects.get_owned(self.user, project_id), self.user)
        return Response(status=204)


class ProjectRestoreView(Endpoint):
    @extend_schema(operation_id='restore_project', request=None, responses=ProjectOut)
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Restore a project that you deleted, with everything in it."""
        return Response(ProjectOut(projects.restore_project(self.user, project_id)).data)


class ProjectHealthView(Endpoint):
    @extend_schema(operation_id='get_project_health', responses=HealthOut)
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        """Count images and boxes per label, check whether a training can start, and list problems of the
        data."""
        project = projects.get_visible(self.user, project_id)
        health, readiness = dataset_health.check_health(project), check_readiness(project)
        record = {
            'ready': readiness.ready,
            'missing': readiness.missing,
            'images': health.images,
            'unlabelled': health.unlabelled,
            'labels': health.classes,
            'problems': health.warnings,
        }
        return Response(HealthOut(record).data)


class MemberListView(Endpoint):
    @extend_schema(
        operation_id='list_members', parameters=PAGE_PARAMETERS, responses=make_page_schema(MemberOut)
    )
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        memberships = projects.get_visible(self.user, project_id).memberships
        self.parse_query()
        return paginate(memberships.select_related('user').order_by('pk'), request, self, MemberOut)

    @extend_schema(operation_id='add_member', request=MemberIn, responses=MemberOut)
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Add a user to the project, or change the role of a member."""
        project = projects.get_owned(self.user, project_id)
        return Response(MemberOut(projects.add_member(project, **self.parse_body(MemberIn))).data)


class MemberView(Endpoint):
    @extend_schema(operation_id='remove_member', responses={204: None})
    def delete(self, request: Request, project_id: uuid.UUID, username: str) -> Response:
        projects.remove_member(projects.get_owned(self.user, project_id), username)
        return Response(status=204)
