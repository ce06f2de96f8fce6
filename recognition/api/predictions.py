"""Predictions: classify images, or detect objects in them, in the response or by a job."""

from __future__ import annotations

import base64
import binascii
import re
import uuid
from typing import Any, ClassVar

from django.conf import settings
from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.exceptions import ValidationError
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.serializers import Serializer

from recognition.api.endpoint import Endpoint
from recognition.api.parsing import BoundedJsonParser, RawBytesParser, RawImageParser
from recognition.api.schemas.predictions import (
    ClassifyForm,
    ClassifyJson,
    ClassifyOptions,
    ClassifyOut,
    DetectForm,
    DetectionJobOut,
    DetectJson,
    DetectOptions,
    DetectOut,
)
from recognition.errors import InvalidInputError, TooLargeError
from recognition.models import Job, TrainedModel
from recognition.naming import make_printable
from recognition.serving import detection_jobs, prediction, publishing, trained_models

NamedImages = list[tuple[str, bytes]]
DATA_URL = re.compile(r'data:[\w/+.-]*;base64,')


def describe_bodies(files: type[Serializer[Any]], json: type[Serializer[Any]]) -> dict[str, object]:
    """The ways to send images, for the OpenAPI schema."""
    return {
        'multipart/form-data': files,
        'application/json': json,
        'image/*': OpenApiTypes.BINARY,
        'application/octet-stream': OpenApiTypes.BINARY,
    }


CLASSIFY_SCHEMA: dict[str, Any] = {
    'parameters': [ClassifyOptions],
    'request': describe_bodies(ClassifyForm, ClassifyJson),
    'responses': ClassifyOut,
}
DETECT_SCHEMA: dict[str, Any] = {
    'parameters': [
        DetectOptions,
        OpenApiParameter(
            'Location', OpenApiTypes.URI, 'header', response=[202], description='URL of the detection job.'
        ),
        OpenApiParameter(
            'Retry-After',
            OpenApiTypes.INT,
            'header',
            response=[202],
            description='Seconds to wait before asking for the job.',
        ),
    ],
    'request': describe_bodies(DetectForm, DetectJson),
    'responses': {200: DetectOut, 202: DetectionJobOut},
}


class ImagesEndpoint(Endpoint):
    """An endpoint that takes images as files, as raw bytes, or as base64 in JSON.

    `options_schema`: what may be chosen besides the images, in the query or the body.
    `json_schema`: these options and the images.
    """

    predict_methods: ClassVar[tuple[str, ...]] = ('POST',)
    parser_classes = [MultiPartParser, BoundedJsonParser, RawImageParser, RawBytesParser]
    options_schema: ClassVar[type[Serializer[Any]]]
    json_schema: ClassVar[type[Serializer[Any]]]

    def parse_images(self) -> tuple[NamedImages, dict[str, Any]]:
        """The images with their names, and the options; the query overrides the body."""
        query = self.parse_query(self.options_schema) if self.request.query_params else {}
        images, options = self._parse_image_body()
        return images, {**options, **query}

    def _parse_image_body(self) -> tuple[NamedImages, dict[str, object]]:
        data = self.request.data
        if isinstance(data, bytes):
            return [('', data)], {}
        if self.request.content_type.startswith('multipart/'):
            return self._read_files(), self._parse_form_options()
        fields = self.parse_body(self.json_schema)
        texts = fields.pop('images', [])
        if 'image' in fields:
            texts = [fields.pop('image'), *texts]
        _check_count(texts)
        return [('', _decode_base64(text, index)) for index, text in enumerate(texts)], fields

    def _read_files(self) -> NamedImages:
        files = [file for name in ('image', 'images') for file in self.request.FILES.getlist(name)]
        if not files:
            raise InvalidInputError('There is no file in the field “image”.', field='image')
        _check_count(files)
        return [(make_printable(file.name or ''), _read_file(file, i)) for i, file in enumerate(files)]

    def _parse_form_options(self) -> dict[str, object]:
        if not self.request.POST:  # the usual case: a serializer would take 0.2 ms
            return {}
        form = self.request.POST.dict()
        serializer = self.options_schema(data=form)
        if unknown := sorted(set(form) - set(serializer.fields) - {'csrfmiddlewaretoken'}):
            raise ValidationError({unknown[0]: ['unknown field']})
        serializer.is_valid(raise_exception=True)
        return dict(serializer.validated_data)


def _check_count(images: list[Any]) -> None:
    """Called before anything is decoded."""
    if len(images) > settings.MAX_IMAGES_PER_PREDICTION:
        raise InvalidInputError(
            f'Send at most {settings.MAX_IMAGES_PER_PREDICTION} images in one request.', field='images'
        )


def _read_file(file: Any, index: int) -> bytes:
    if file.size > settings.MAX_IMAGE_BYTES:
        raise TooLargeError(
            f'images[{index}] is larger than {settings.MAX_IMAGE_BYTES // 2**20} MB.',
            field=f'images[{index}]',
        )
    return bytes(file.read())


def _decode_base64(text: str, index: int) -> bytes:
    try:
        prefix = DATA_URL.match(text)
        return base64.b64decode(text[prefix.end() :] if prefix else text, validate=True)
    except (binascii.Error, ValueError):
        raise InvalidInputError(f'images[{index}] is not valid base64.', field=f'images[{index}]') from None


class ClassifyView(ImagesEndpoint):
    options_schema = ClassifyOptions
    json_schema = ClassifyJson

    @extend_schema(operation_id='classify', **CLASSIFY_SCHEMA)
    def post(self, request: Request, reference: str) -> Response:
        """Classify 1 to 20 images. `reference`: the id of a model or a published name.

        If one image cannot be used the whole request fails, and `field` names that image.
        """
        return self._classify(trained_models.find_for_prediction(self.user, reference))

    def _classify(self, model: TrainedModel) -> Response:
        images, options = self.parse_images()
        result = prediction.classify(
            model, [data for _, data in images], options.get('top'), options.get('threshold', 0.0)
        )
        return Response(result.to_json([name for name, _ in images]))


class ClassifyByNameView(ClassifyView):
    @extend_schema(operation_id='classify_by_name', **CLASSIFY_SCHEMA)
    def post(self, request: Request, name: str) -> Response:
        """Like `classify`, for published names only."""
        return self._classify(publishing.find(name, self.user).model)


class DetectView(ImagesEndpoint):
    options_schema = DetectOptions
    json_schema = DetectJson

    @extend_schema(operation_id='detect', **DETECT_SCHEMA)
    def post(self, request: Request, reference: str) -> Response:
        """Detect objects in 1 to 20 images. `reference`: the id of a detector or a published name.

        Boxes are pixels of the upright image, with exclusive right and lower edges, highest score first.
        If the result is expected to take longer than MAX_DETECTION_SECONDS (default: 2), the response is 202
        with a job, whose URL is in the header `Location`.
        """
        return self._detect(trained_models.find_for_prediction(self.user, reference))

    def _detect(self, model: TrainedModel) -> Response:
        images, options = self.parse_images()
        result = detection_jobs.detect_or_enqueue(
            model, images, self.user, options.get('threshold'), options.get('wait')
        )
        if not isinstance(result, Job):
            return Response(result.to_json([name for name, _ in images]))
        headers = {'Location': reverse('api-detection-job', args=[result.pk]), 'Retry-After': '1'}
        return Response(detection_jobs.describe_job(result), status=202, headers=headers)


class DetectByNameView(DetectView):
    @extend_schema(operation_id='detect_by_name', **DETECT_SCHEMA)
    def post(self, request: Request, name: str) -> Response:
        """Like `detect`, for published names only."""
        return self._detect(publishing.find(name, self.user).model)


class DetectionJobView(Endpoint):
    predict_methods: ClassVar[tuple[str, ...]] = ('GET',)

    @extend_schema(operation_id='get_detection_job', responses=DetectionJobOut)
    def get(self, request: Request, detection_job_id: uuid.UUID) -> Response:
        """A detection job of yours. It is deleted DETECTION_RESULT_HOURS (default: 24) after its end."""
        job = detection_jobs.find_job(self.user, detection_job_id)
        self.parse_query()
        return Response(DetectionJobOut(job).data)


class DetectionJobCancelView(Endpoint):
    predict_methods: ClassVar[tuple[str, ...]] = ('POST',)

    @extend_schema(operation_id='cancel_detection_job', request=None, responses={202: DetectionJobOut})
    def post(self, request: Request, detection_job_id: uuid.UUID) -> Response:
        """Cancel a detection job: a queued one ends immediately, a running one within seconds.

        409 if it has ended.
        """
        job = detection_jobs.cancel(self.user, detection_job_id)
        return Response(DetectionJobOut(job).data, status=202)
