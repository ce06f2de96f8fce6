"""Long lists in pages: by position in the order (keyset), so that a page costs the same however deep it lies."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from rest_framework.exceptions import NotFound
from rest_framework.pagination import Cursor, CursorPagination
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer
from rest_framework.views import APIView

from recognition.api.errors import InvalidQueryError


class Pages(CursorPagination):
    """`limit` (1 to 200, 50 unless told) and `cursor` (from `next` or `previous` of another page)."""

    page_size = 50
    max_page_size = 200
    page_size_query_param = 'limit'

    def get_ordering(self, request: Request, queryset: QuerySet[Any], view: APIView) -> tuple[str, ...]:
        return tuple(queryset.query.order_by or queryset.model._meta.ordering)

    def decode_cursor(self, request: Request) -> Cursor | None:
        try:
            cursor = super().decode_cursor(request)
        except NotFound:
            raise InvalidQueryError('cursor: this is no cursor of ours', field='cursor') from None
        if cursor is not None and '\0' in str(cursor.position or ''):
            raise InvalidQueryError('cursor: this is no cursor of ours', field='cursor')
        return cursor


def page_of(rows: QuerySet[Any], request: Request, view: APIView, schema: type[Serializer[Any]]) -> Response:
    """One page of rows, each shaped by `schema`: {next, previous, results}."""
    pages = Pages()
    page = pages.paginate_queryset(rows, request, view=view) or []
    return pages.get_paginated_response(schema(page, many=True, context={'request': request}).data)
