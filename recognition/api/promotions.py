"""A trained model offered as a source that other trainings may start from."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api.endpoint import Endpoint
from recognition.errors import NotFoundError
from recognition.models import SourceModel
from recognition.models.source_model import SourceStatus
from recognition.serving import trained_models
from recognition.zoo import promotion


class OfferIn(serializers.Serializer[Any]):
    share = serializers.BooleanField(
        help_text='Whether people outside the project may start from it too, once it is approved.'
    )
    name = serializers.CharField(
        required=False, max_length=120, help_text='Default: made from the project’s name.'
    )
    title = serializers.CharField(required=False, max_length=200)
    domain = serializers.CharField(
        required=False, max_length=80, help_text='What its images show, in a word or two.'
    )
    licence = serializers.CharField(required=False, max_length=200)


class OfferOut(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    state = serializers.ChoiceField(choices=SourceStatus.choices, source='status')
    shared = serializers.SerializerMethodField(
        help_text='An owner agreed that people outside the project may start from it.'
    )
    signed = serializers.SerializerMethodField(help_text='The likeness of its photos to others’ is known.')

    def get_shared(self, row: SourceModel) -> bool:
        return row.shared_at is not None

    def get_signed(self, row: SourceModel) -> bool:
        return bool(row.signatures)


class OfferedModel(Endpoint):
    @extend_schema(operation_id='get_offer', responses=OfferOut)
    def get(self, request: Request, reference: str) -> Response:
        """404 unless it is offered."""
        row = promotion.find_offered(
            trained_models.get_visible(self.person(), trained_models.parse_model_id(reference))
        )
        if row is None:
            raise NotFoundError('This model is not offered as a source.')
        return Response(OfferOut(row).data)

    @extend_schema(operation_id='offer_model', request=OfferIn, responses=OfferOut)
    def post(self, request: Request, reference: str) -> Response:
        """For owners of its project; of a detector its body. An administrator approves it; later only `share` is changed."""
        model = trained_models.get_owned(self.person(), trained_models.parse_model_id(reference))
        row = promotion.offer(model, promotion.Offer(**self.body(OfferIn)), self.person())
        return Response(OfferOut(row).data)

    @extend_schema(operation_id='withdraw_offer', responses={204: None})
    def delete(self, request: Request, reference: str) -> Response:
        """No training starts from it any more; models that did keep it."""
        model = trained_models.get_owned(self.person(), trained_models.parse_model_id(reference))
        promotion.withdraw(model, self.person())
        return Response(status=204)
