"""Projects and who may come in."""

from __future__ import annotations

import uuid

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api.documentation import PAGE, paged
from recognition.api.endpoint import Endpoint
from recognition.api.pagination import page_of
from recognition.api.schemas import HealthOut, MemberIn, MemberOut, ProjectChange, ProjectIn, ProjectOut
from recognition.datasets import health as dataset_health
from recognition.datasets import projects
from recognition.models import Project
from recognition.training.readiness import check_readiness


class Projects(Endpoint):
    @extend_schema(operation_id='list_projects', parameters=PAGE, responses=paged(ProjectOut))
    def get(self, request: Request) -> Response:
        self.query()
        return page_of(Project.objects.visible_to(self.person()), request, self, ProjectOut)

    @extend_schema(operation_id='create_project', request=ProjectIn, responses={201: ProjectOut})
    def post(self, request: Request) -> Response:
        project = projects.create_project(self.person(), **self.body(ProjectIn))
        return Response(ProjectOut(project).data, status=201)


class OneProject(Endpoint):
    @extend_schema(operation_id='get_project', responses=ProjectOut)
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        return Response(ProjectOut(projects.get_visible(self.person(), project_id)).data)

    @extend_schema(operation_id='change_project', request=ProjectChange, responses=ProjectOut)
    def patch(self, request: Request, project_id: uuid.UUID) -> Response:
        """Rename it, or let it learn something else while nothing is labelled."""
        project = projects.get_editable(self.person(), project_id)
        return Response(ProjectOut(projects.change_project(project, **self.body(ProjectChange))).data)

    @extend_schema(operation_id='delete_project', responses={204: None})
    def delete(self, request: Request, project_id: uuid.UUID) -> Response:
        """Its published names stop answering. It can be restored until an administrator purges the trash."""
        projects.delete_project(projects.get_owned(self.person(), project_id), self.person())
        return Response(status=204)


class Restore(Endpoint):
    @extend_schema(operation_id='restore_project', request=None, responses=ProjectOut)
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Take back a project that you deleted, with everything in it."""
        return Response(ProjectOut(projects.restore_project(self.person(), project_id)).data)


class Health(Endpoint):
    @extend_schema(operation_id='get_project_health', responses=HealthOut)
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        """How many images of what, whether a training can start, and what would spoil it."""
        project = projects.get_visible(self.person(), project_id)
        health, readiness = dataset_health.check_health(project), check_readiness(project)
        record = {name: getattr(health, name) for name in ('images', 'unlabelled', 'classes', 'warnings')}
        return Response(HealthOut({'ready': readiness.ready, 'missing': readiness.missing, **record}).data)


class Members(Endpoint):
    @extend_schema(operation_id='list_members', parameters=PAGE, responses=paged(MemberOut))
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        rows = (
            projects.get_visible(self.person(), project_id).memberships.select_related('user').order_by('pk')
        )
        self.query()
        return page_of(rows, request, self, MemberOut)

    @extend_schema(operation_id='share_project', request=MemberIn, responses=MemberOut)
    def post(self, request: Request, project_id: uuid.UUID) -> Response:
        """Let a person in, or change what she may do."""
        project = projects.get_owned(self.person(), project_id)
        return Response(MemberOut(projects.add_member(project, **self.body(MemberIn))).data)


class OneMember(Endpoint):
    @extend_schema(operation_id='unshare_project', responses={204: None})
    def delete(self, request: Request, project_id: uuid.UUID, username: str) -> Response:
        projects.remove_member(projects.get_owned(self.person(), project_id), username)
        return Response(status=204)
