"""Trained models, the names under which they are published, and the sources they may start from."""

from __future__ import annotations

import dataclasses
import uuid
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api.documentation import PAGE, paged
from recognition.api.endpoint import Endpoint
from recognition.api.learning_schemas import (
    ModelOut,
    ModelReport,
    PublicationOut,
    PublishIn,
    SourceOut,
    SourcesOut,
)
from recognition.api.pagination import page_of
from recognition.datasets import projects
from recognition.models import Project, Publication
from recognition.serving import publishing, trained_models
from recognition.zoo import catalog


class Models(Endpoint):
    @extend_schema(operation_id='list_models', parameters=PAGE, responses=paged(ModelOut))
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        """The newest first."""
        project = projects.get_visible(self.person(), project_id)
        self.query()
        return page_of(project.models.prefetch_related('publications'), request, self, ModelOut)


class OneModel(Endpoint):
    open_to_predict: ClassVar[tuple[str, ...]] = ('GET',)

    @extend_schema(operation_id='get_model', responses=ModelReport)
    def get(self, request: Request, reference: str) -> Response:
        """Everything that was measured. `reference`: the model's id or a published name."""
        return Response(ModelReport(trained_models.find_by_reference(self.person(), reference)).data)

    @extend_schema(operation_id='delete_model', responses={204: None})
    def delete(self, request: Request, reference: str) -> Response:
        """409 while it is published. By id only: a name may point elsewhere by now."""
        model = trained_models.get_editable(self.person(), trained_models.parse_model_id(reference))
        trained_models.delete(model, self.person())
        return Response(status=204)


class Publish(Endpoint):
    @extend_schema(operation_id='publish_model', request=PublishIn, responses=PublicationOut)
    def post(self, request: Request, reference: str) -> Response:
        """Let a name answer with this model from now on; a new name is made."""
        model = trained_models.get_editable(self.person(), trained_models.parse_model_id(reference))
        publication = publishing.publish(model, self.body(PublishIn)['name'], self.person())
        return Response(PublicationOut(publication).data)


class Publications(Endpoint):
    @extend_schema(operation_id='list_publications', parameters=PAGE, responses=paged(PublicationOut))
    def get(self, request: Request) -> Response:
        self.query()
        rows = Publication.objects.filter(
            project__in=Project.objects.visible_to(self.person())
        ).select_related('model')
        return page_of(rows, request, self, PublicationOut)


class OnePublication(Endpoint):
    open_to_predict: ClassVar[tuple[str, ...]] = ('GET',)

    @extend_schema(operation_id='get_publication', responses=PublicationOut)
    def get(self, request: Request, name: str) -> Response:
        return Response(PublicationOut(publishing.find(name, self.person())).data)

    @extend_schema(operation_id='unpublish', responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        publishing.unpublish(_editable(self.person(), name), self.person())
        return Response(status=204)


class Rollback(Endpoint):
    @extend_schema(operation_id='rollback_publication', request=None, responses=PublicationOut)
    def post(self, request: Request, name: str) -> Response:
        """Back to the model that was published before. 409 when there is none."""
        publication = publishing.rollback(_editable(self.person(), name), self.person())
        return Response(PublicationOut(publication).data)


class Sources(Endpoint):
    @extend_schema(operation_id='list_sources', responses=SourcesOut)
    def get(self, request: Request) -> Response:
        """The source models that a training of yours may start from."""
        self.query()
        sources = [dataclasses.asdict(source) for source in catalog.list_sources(self.person())]
        return Response({'results': SourceOut(sources, many=True).data})


def _editable(user: AbstractBaseUser, name: str) -> Publication:
    publication = publishing.find(name, user)
    projects.get_editable(user, publication.project_id)
    return publication
