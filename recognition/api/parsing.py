"""Parsers of request bodies, each bounded before it is read: JSON, raw images and uploads.

rest_framework imports this module (named in settings) before its views exist.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import IO, Any

from django.conf import settings
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request

from recognition.errors import InvalidInputError, TooLargeError

# What an upload may hold besides one archive of the largest size, in bytes.
UPLOAD_OVERHEAD = 64 * 2**20


class BoundedJsonParser(JSONParser):
    """JSON of at most DATA_UPLOAD_MAX_MEMORY_SIZE bytes.

    Too deep nesting is a client's error (400), not ours (500).
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> dict[str, object]:
        _check_parser_length(parser_context, settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        try:
            return super().parse(stream, media_type, parser_context)
        except RecursionError:
            raise ParseError('JSON parse error - nested too deep') from None


class RawImageParser(BaseParser):
    """The body is the image."""

    media_type = 'image/*'

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        _check_parser_length(parser_context, settings.MAX_IMAGE_BYTES)
        return stream.read(settings.MAX_IMAGE_BYTES + 1)


class RawBytesParser(RawImageParser):
    media_type = 'application/octet-stream'


def _check_parser_length(parser_context: Mapping[str, Any] | None, limit: int) -> None:
    request = (parser_context or {}).get('request')
    if request is not None:
        check_length(request, limit)


def check_length(request: Request, limit: int) -> None:
    """TooLargeError when the body is longer than `limit` bytes by its header; the server reads no further
    than that."""
    try:
        length = int(request.META.get('CONTENT_LENGTH') or 0)
    except ValueError:
        length = 0
    if length > limit:
        raise TooLargeError(f'The request is larger than {limit // 2**20:,} MB.')


def read_uploaded_files(request: Request) -> list[tuple[str, Any]]:
    """The files of an upload with their names. Errors: TooLargeError, InvalidInputError (no file)."""
    check_length(request, settings.MAX_ARCHIVE_BYTES + UPLOAD_OVERHEAD)
    files = [(file.name or 'unnamed', file) for file in request.FILES.getlist('files')]
    if not files:
        raise InvalidInputError('There is no file in the field “files”.', field='files')
    return files
