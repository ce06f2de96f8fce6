"""Trained models, their publication and promotion, and the source models that a training can start from."""

from __future__ import annotations

import dataclasses
import uuid
from typing import ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api.endpoint import Endpoint, paginate
from recognition.api.openapi import PAGE_PARAMETERS, make_page_schema
from recognition.api.schemas.models import (
    ModelOut,
    ModelReportOut,
    PromotionIn,
    PromotionOut,
    PublicationOut,
    PublishIn,
    SourceModelOut,
    SourceModelsOut,
)
from recognition.datasets import projects
from recognition.errors import NotFoundError
from recognition.models import Project, Publication
from recognition.serving import publishing, trained_models
from recognition.zoo import catalog, promotion


class ModelListView(Endpoint):
    @extend_schema(
        operation_id='list_models', parameters=PAGE_PARAMETERS, responses=make_page_schema(ModelOut)
    )
    def get(self, request: Request, project_id: uuid.UUID) -> Response:
        """Newest first."""
        project = projects.get_visible(self.user, project_id)
        self.parse_query()
        return paginate(project.models.prefetch_related('publications'), request, self, ModelOut)


class ModelView(Endpoint):
    predict_methods: ClassVar[tuple[str, ...]] = ('GET',)

    @extend_schema(operation_id='get_model', responses=ModelReportOut)
    def get(self, request: Request, reference: str) -> Response:
        """The report of a model. `reference`: its id or a published name."""
        return Response(ModelReportOut(trained_models.find_by_reference(self.user, reference)).data)

    @extend_schema(operation_id='delete_model', responses={204: None})
    def delete(self, request: Request, reference: str) -> Response:
        """Delete a model.

        409 while it is published. By id only: a published name may have moved to another model.
        """
        model = trained_models.get_editable(self.user, trained_models.parse_model_id(reference))
        trained_models.delete(model, self.user)
        return Response(status=204)


class PublishView(Endpoint):
    @extend_schema(operation_id='publish_model', request=PublishIn, responses=PublicationOut)
    def post(self, request: Request, reference: str) -> Response:
        """Publish the model under a name.

        A name of the same project is moved to this model, a new one is created.
        """
        model = trained_models.get_editable(self.user, trained_models.parse_model_id(reference))
        publication = publishing.publish(model, self.parse_body(PublishIn)['name'], self.user)
        return Response(PublicationOut(publication).data)


class PublicationListView(Endpoint):
    @extend_schema(
        operation_id='list_publications',
        parameters=PAGE_PARAMETERS,
        responses=make_page_schema(PublicationOut),
    )
    def get(self, request: Request) -> Response:
        self.parse_query()
        rows = Publication.objects.filter(project__in=Project.objects.visible_to(self.user)).select_related(
            'model'
        )
        return paginate(rows, request, self, PublicationOut)


class PublicationView(Endpoint):
    predict_methods: ClassVar[tuple[str, ...]] = ('GET',)

    @extend_schema(operation_id='get_publication', responses=PublicationOut)
    def get(self, request: Request, name: str) -> Response:
        return Response(PublicationOut(publishing.find(name, self.user)).data)

    @extend_schema(operation_id='unpublish', responses={204: None})
    def delete(self, request: Request, name: str) -> Response:
        publishing.unpublish(_find_editable(self.user, name), self.user)
        return Response(status=204)


class RollbackView(Endpoint):
    @extend_schema(operation_id='rollback_publication', request=None, responses=PublicationOut)
    def post(self, request: Request, name: str) -> Response:
        """Return to the model that was published before. 409 if there is none."""
        publication = publishing.rollback(_find_editable(self.user, name), self.user)
        return Response(PublicationOut(publication).data)


class SourceModelListView(Endpoint):
    @extend_schema(operation_id='list_source_models', responses=SourceModelsOut)
    def get(self, request: Request) -> Response:
        """The source models that your trainings can start from."""
        self.parse_query()
        sources = [dataclasses.asdict(source) for source in catalog.list_sources(self.user)]
        return Response({'results': SourceModelOut(sources, many=True).data})


def _find_editable(user: AbstractBaseUser, name: str) -> Publication:
    publication = publishing.find(name, user)
    projects.get_editable(user, publication.project_id)
    return publication


class PromotionView(Endpoint):
    @extend_schema(operation_id='get_promotion', responses=PromotionOut)
    def get(self, request: Request, reference: str) -> Response:
        """The source model that was made of a trained model. 404 if it was not promoted."""
        row = promotion.find_promoted(
            trained_models.get_visible(self.user, trained_models.parse_model_id(reference))
        )
        if row is None:
            raise NotFoundError('This model was not promoted to a source model.')
        return Response(PromotionOut(row).data)

    @extend_schema(operation_id='promote_model', request=PromotionIn, responses=PromotionOut)
    def post(self, request: Request, reference: str) -> Response:
        """Submit a finished model as a source model, of a detector its backbone. Owners of the project only.

        Trainings can start from it once an administrator approved it. Posting again changes `share` only.
        """
        model = trained_models.get_owned(self.user, trained_models.parse_model_id(reference))
        fields = promotion.PromotionTerms(**self.parse_body(PromotionIn))
        return Response(PromotionOut(promotion.submit(model, fields, self.user)).data)

    @extend_schema(operation_id='withdraw_promotion', responses={204: None})
    def delete(self, request: Request, reference: str) -> Response:
        """Withdraw the source model: no new training can start from it. Models that did are not affected."""
        model = trained_models.get_owned(self.user, trained_models.parse_model_id(reference))
        promotion.withdraw(model, self.user)
        return Response(status=204)
