"""What is where on a photo: images in, boxes out, at once or by a job."""

from __future__ import annotations

import uuid
from typing import Any, ClassVar

from django.urls import reverse
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api.endpoint import Endpoint
from recognition.api.learning_schemas import DetectFiles, DetectionOut, DetectJson, DetectOut, WantedBoxes
from recognition.api.photo_parsing import TakesImages, bodies
from recognition.models import Job, TrainedModel
from recognition.serving import detection_jobs, publishing, trained_models

TOLD: dict[str, Any] = {
    'parameters': [
        WantedBoxes,
        OpenApiParameter(
            'Location', OpenApiTypes.URI, 'header', response=[202], description='Where the answer will be.'
        ),
        OpenApiParameter(
            'Retry-After',
            OpenApiTypes.INT,
            'header',
            response=[202],
            description='Seconds until it pays to ask.',
        ),
    ],
    'request': bodies(DetectFiles, DetectJson),
    'responses': {200: DetectOut, 202: DetectionOut},
}


class Detect(TakesImages):
    wanted_schema = WantedBoxes
    json_schema = DetectJson

    @extend_schema(operation_id='detect', **TOLD)
    def post(self, request: Request, reference: str) -> Response:
        """1 to 20 images. `reference`: a detector's id or a published name.

        Boxes are end-exclusive pixels of the upright image, the surest first. Where that would take longer than the server lets
        one wait (2 seconds, unless told), the answer is 202 and a job, whose address is in `Location`.
        """
        return self._answer(trained_models.find_for_prediction(self.person(), reference))

    def _answer(self, model: TrainedModel) -> Response:
        images, wanted = self.sent()
        answer = detection_jobs.detect_or_enqueue(
            model, images, self.person(), wanted.get('threshold'), wanted.get('wait')
        )
        return _come_back(answer) if isinstance(answer, Job) else Response(answer)


class DetectByName(Detect):
    @extend_schema(operation_id='detect_by_name', **TOLD)
    def post(self, request: Request, name: str) -> Response:
        """The same, for published names only."""
        return self._answer(publishing.find(name, self.person()).model)


class OneDetection(Endpoint):
    open_to_predict: ClassVar[tuple[str, ...]] = ('GET',)

    @extend_schema(operation_id='get_detection', responses=DetectionOut)
    def get(self, request: Request, detection_id: uuid.UUID) -> Response:
        """Of one's own, until its answer is a day old (unless the server is told otherwise)."""
        job = detection_jobs.find_job(self.person(), detection_id)
        self.query()
        return Response(DetectionOut(job).data)


class CancelDetection(Endpoint):
    open_to_predict: ClassVar[tuple[str, ...]] = ('POST',)

    @extend_schema(operation_id='cancel_detection', request=None, responses={202: DetectionOut})
    def post(self, request: Request, detection_id: uuid.UUID) -> Response:
        """A waiting one ends at once, a running one within seconds. 409 when it has ended."""
        return Response(DetectionOut(detection_jobs.cancel(self.person(), detection_id)).data, status=202)


def _come_back(job: Job) -> Response:
    headers = {'Location': reverse('api-detection', args=[job.pk]), 'Retry-After': '1'}
    return Response(detection_jobs.describe_job(job), status=202, headers=headers)
