"""Photos sent to a model: as files, as raw bytes, or as base64 in JSON."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.serializers import Serializer

from recognition.api import parsing
from recognition.api.endpoint import Endpoint
from recognition.errors import InvalidInputError, TooLargeError
from recognition.naming import make_printable

DATA_ADDRESS = re.compile(r'data:[\w/+.-]*;base64,')
Named = list[tuple[str, bytes]]


def bodies(files: type[Serializer[Any]], json: type[Serializer[Any]]) -> dict[str, Any]:
    """What OpenAPI is told of the ways to send photos."""
    return {
        'multipart/form-data': files,
        'application/json': json,
        'image/*': OpenApiTypes.BINARY,
        'application/octet-stream': OpenApiTypes.BINARY,
    }


class TakesImages(Endpoint):
    """`wanted_schema`: what may be asked beside the photos, in the address or in the body; `json_schema`: that with them."""

    open_to_predict: ClassVar[tuple[str, ...]] = ('POST',)
    parser_classes = [MultiPartParser, parsing.BoundedJson, parsing.RawImage, parsing.RawBytes]
    wanted_schema: ClassVar[type[Serializer[Any]]]
    json_schema: ClassVar[type[Serializer[Any]]]

    def sent(self) -> tuple[Named, dict[str, Any]]:
        """The photos with their names, and what is asked of them; the address goes before the body."""
        wanted = self.query(self.wanted_schema) if self.request.query_params else {}
        images, fields = self._images()
        return images, {**fields, **wanted}

    def _images(self) -> tuple[Named, dict[str, Any]]:
        """The images with their names, and what else the body says."""
        data = self.request.data
        if isinstance(data, bytes):
            return [('', data)], {}
        if self.request.content_type.startswith('multipart/'):
            return self._files(), self._wanted()
        fields = self.body(self.json_schema)
        texts = fields.pop('images', [])
        if 'image' in fields:
            texts = [fields.pop('image'), *texts]
        return [('', _decoded(text, index)) for index, text in enumerate(_few(texts))], fields

    def _files(self) -> Named:
        files = [file for name in ('image', 'images') for file in self.request.FILES.getlist(name)]
        if not files:
            raise InvalidInputError('There is no file in the field “image”.', field='image')
        return [
            (make_printable(file.name or ''), _read(file, index)) for index, file in enumerate(_few(files))
        ]

    def _wanted(self) -> dict[str, Any]:
        if not self.request.POST:  # the usual case: a serialiser is not worth its 0.2 ms then
            return {}
        form = self.request.POST.dict()
        fields = self.wanted_schema(data=form)
        if unknown := sorted(set(form) - set(fields.fields) - {'csrfmiddlewaretoken'}):
            raise ValidationError({unknown[0]: ['is not known here']})
        fields.is_valid(raise_exception=True)
        return dict(fields.validated_data)


def _few(items: list[Any]) -> list[Any]:
    """Counted before anything is decoded."""
    if len(items) > settings.MAX_IMAGES_PER_PREDICTION:
        raise InvalidInputError(
            f'Send at most {settings.MAX_IMAGES_PER_PREDICTION} images at once.', field='images'
        )
    return items


def _read(file: Any, index: int) -> bytes:
    if file.size > settings.MAX_IMAGE_BYTES:
        raise TooLargeError(
            f'images[{index}] is larger than {settings.MAX_IMAGE_BYTES // 2**20} MB', field=f'images[{index}]'
        )
    return bytes(file.read())


def _decoded(text: str, index: int) -> bytes:
    try:
        start = DATA_ADDRESS.match(text)
        return base64.b64decode(text[start.end() :] if start else text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInputError(f'images[{index}] is not base64', field=f'images[{index}]') from None
