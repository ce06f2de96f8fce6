"""Bodies, each bounded before it is read."""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request

from recognition.errors import TooLargeError


class BoundedJson(JSONParser):
    """JSON of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes; nesting without end is malformed, not a fault."""

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        bound(parser_context, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError('JSON parse error - nested too deep') from None


class RawImage(BaseParser):
    """The body is the image."""

    media_type = 'image/*'

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        bound(parser_context, settings.MAX_IMAGE_BYTES)
        return stream.read(settings.MAX_IMAGE_BYTES + 1)


class RawBytes(RawImage):
    media_type = 'application/octet-stream'


def bound(parser_context: Mapping[str, Any] | None, most: int) -> None:
    request = (parser_context or {}).get('request')
    if request is not None and length(request) > most:
        raise TooLargeError(f'The request is larger than {most // 2**20} MB.')


def length(request: Request) -> int:
    """What the request says of its size; a body beyond it is not read by the server."""
    try:
        return int(request.META.get('CONTENT_LENGTH') or 0)
    except ValueError:
        return 0
