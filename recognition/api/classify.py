"""Predictions: images in as files, raw bytes or base64; calibrated scores out."""

from __future__ import annotations

import base64
import binascii
import re
from typing import Any, ClassVar

from django.conf import settings
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from recognition import prediction, publishing, trained_models
from recognition.api import parsing
from recognition.api.endpoint import Endpoint
from recognition.api.learning_schemas import ClassifyFiles, ClassifyJson, ClassifyOut, Wanted
from recognition.errors import InvalidInput, TooLarge
from recognition.models import TrainedModel
from recognition.naming import shown

DATA_ADDRESS = re.compile(r'data:[\w/+.-]*;base64,')
BODIES = {
    'multipart/form-data': ClassifyFiles,
    'application/json': ClassifyJson,
    'image/*': OpenApiTypes.BINARY,
    'application/octet-stream': OpenApiTypes.BINARY,
}
Named = list[tuple[str, bytes]]


class Classify(Endpoint):
    open_to_predict: ClassVar[tuple[str, ...]] = ('POST',)
    parser_classes = [MultiPartParser, parsing.BoundedJson, parsing.RawImage, parsing.RawBytes]

    @extend_schema(operation_id='classify', parameters=[Wanted], request=BODIES, responses=ClassifyOut)
    def post(self, request: Request, reference: str) -> Response:
        """1 to 20 images. `reference`: a model's id or a published name. One bad image refuses the request and is named."""
        return self._answer(trained_models.answering(self.person(), reference))

    def _answer(self, model: TrainedModel) -> Response:
        wanted = self.query(Wanted) if self.request.query_params else {}
        images, fields = self._images()
        wanted = {**fields, **wanted}
        answers = prediction.classify(model, [data for _, data in images], wanted.get('top'), wanted.get('threshold', 0.0))
        return Response(_record(model, images, answers))

    def _images(self) -> tuple[Named, dict[str, Any]]:
        """The images with their names, and what the body says of `top` and `threshold`."""
        data = self.request.data
        if isinstance(data, bytes):
            return [('', data)], {}
        if self.request.content_type.startswith('multipart/'):
            return self._files(), self._wanted()
        fields = self.body(ClassifyJson)
        texts = fields.pop('images', [])
        if 'image' in fields:
            texts = [fields.pop('image'), *texts]
        return [('', _decoded(text, index)) for index, text in enumerate(_few(texts))], fields

    def _files(self) -> Named:
        files = [file for name in ('image', 'images') for file in self.request.FILES.getlist(name)]
        if not files:
            raise InvalidInput('There is no file in the field “image”.', field='image')
        return [(shown(file.name or ''), _read(file, index)) for index, file in enumerate(_few(files))]

    def _wanted(self) -> dict[str, Any]:
        if not self.request.POST:  # the usual case: a serialiser is not worth its 0.2 ms then
            return {}
        form = self.request.POST.dict()
        fields = Wanted(data=form)
        if unknown := sorted(set(form) - set(fields.fields) - {'csrfmiddlewaretoken'}):
            raise ValidationError({unknown[0]: ['is not known here']})
        fields.is_valid(raise_exception=True)
        return dict(fields.validated_data)


class ClassifyByName(Classify):
    @extend_schema(operation_id='classify_by_name', parameters=[Wanted], request=BODIES, responses=ClassifyOut)
    def post(self, request: Request, name: str) -> Response:
        """The same, for published names only."""
        return self._answer(publishing.find(name, self.person()).model)


def _few(items: list[Any]) -> list[Any]:
    """Counted before anything is decoded."""
    if len(items) > settings.MAX_IMAGES_PER_PREDICTION:
        raise InvalidInput(f'Send at most {settings.MAX_IMAGES_PER_PREDICTION} images at once.', field='images')
    return items


def _read(file: Any, index: int) -> bytes:
    if file.size > settings.MAX_IMAGE_BYTES:
        raise TooLarge(f'images[{index}] is larger than {settings.MAX_IMAGE_BYTES // 2**20} MB', field=f'images[{index}]')
    return bytes(file.read())


def _decoded(text: str, index: int) -> bytes:
    try:
        start = DATA_ADDRESS.match(text)
        return base64.b64decode(text[start.end() :] if start else text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInput(f'images[{index}] is not base64', field=f'images[{index}]') from None


def _record(model: TrainedModel, images: Named, answers: list[prediction.Classification]) -> dict[str, Any]:
    """Written by hand: shaping a thousand scores by a serialiser costs more than recognising the photo."""
    return {
        'model': str(model.pk),
        'version': model.version,
        'provisional': model.provisional,
        'images': [
            {'name': name, 'scores': [{'label': score.label, 'score': round(score.score, 6)} for score in answer.scores]}
            for (name, _), answer in zip(images, answers, strict=True)
        ],
    }
