"""The base class of all views of the API, and pages of long lists."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import QuerySet
from rest_framework import exceptions
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from recognition.api.errors import InvalidQueryError, get_first_error
from recognition.errors import NotFoundError

PAGE_PARAMETERS = ('limit', 'cursor')


class SingleRepresentation(BaseContentNegotiation):
    """Every resource has one representation; the Accept header is ignored."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        media_type = (request.content_type or '').partition(';')[0].strip().lower()
        kind = media_type.partition('/')[0]
        return next((parser for parser in parsers if parser.media_type in (media_type, f'{kind}/*')), None)

    def select_renderer(
        self, request: Request, renderers: Iterable[BaseRenderer], format_suffix: str | None = None
    ) -> tuple[BaseRenderer, str]:
        renderer = next(iter(renderers))
        return renderer, str(renderer.media_type)


class Endpoint(APIView):
    content_negotiation_class = SingleRepresentation
    # HTTP methods that an API key with the scope `predict` may use.
    predict_methods: ClassVar[tuple[str, ...]] = ()

    @property
    def user(self) -> AbstractBaseUser:
        """The authenticated user. HasScope lets nobody else through."""
        if not isinstance(self.request.user, AbstractBaseUser):
            raise exceptions.NotAuthenticated
        return self.request.user

    def parse_body(self, schema: type[Serializer[Any]]) -> dict[str, Any]:
        """The validated fields of the body. Unknown fields are refused (422)."""
        if not isinstance(self.request.data, dict):
            raise exceptions.ValidationError('The body must be a JSON object.')
        return validate(schema, self.request.data)

    def parse_query(self, schema: type[Serializer[Any]] | None = None) -> dict[str, Any]:
        """The validated query parameters.

        Unknown ones are refused (400), so that a typo is not taken for a filter.
        """
        query = self.request.query_params
        given = {name: value for name, value in query.items() if name not in PAGE_PARAMETERS}
        if schema is None:
            if given:
                name = next(iter(given))
                raise InvalidQueryError(f'{name}: unknown query parameter', field=name)
            return {}
        try:
            return validate(schema, given)
        except exceptions.ValidationError as error:
            field, message = get_first_error(error.detail)
            raise InvalidQueryError(message, field=field) from error


class UnknownUrl(Endpoint):
    """URLs below /api/v1/ that do not exist answer with JSON too."""

    schema = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        raise NotFoundError('This URL does not exist.')


class Pages(CursorPagination):
    """Keyset pagination: a page costs the same however far it is from the first.

    `limit`: 1 to 200, default 50.
    """

    page_size = 50
    max_page_size = 200
    page_size_query_param = 'limit'

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> tuple[str, ...]:
        return tuple(queryset.query.order_by or queryset.model._meta.ordering)

    def decode_cursor(self, request: Request) -> Cursor | None:
        invalid = InvalidQueryError('cursor: not a valid cursor', field='cursor')
        try:
            cursor = super().decode_cursor(request)
        except exceptions.NotFound:
            raise invalid from None
        if cursor is not None and '\0' in str(cursor.position or ''):
            raise invalid
        return cursor


def paginate(rows: QuerySet[Any], request: Request, view: APIView, schema: type[Serializer[Any]]) -> Response:
    """One page of rows, each serialized by `schema`: {next, previous, results}."""
    pages = Pages()
    page = pages.paginate_queryset(rows, request, view=view) or []
    return pages.get_paginated_response(schema(page, many=True, context={'request': request}).data)


def validate(schema: type[Serializer[Any]], values: Any) -> dict[str, object]:
    serializer = schema(data=values)
    if unknown := sorted(str(name) for name in set(values) - set(serializer.fields)):
        raise exceptions.ValidationError({unknown[0]: ['unknown field']})
    serializer.is_valid(raise_exception=True)
    return dict(serializer.validated_data)
