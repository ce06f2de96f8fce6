"""What is where on a photo: images in, boxes out."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from recognition import prediction, publishing, trained_models
from recognition.api.learning_schemas import DetectFiles, DetectJson, DetectOut, WantedBoxes
from recognition.api.sent_images import Named, TakesImages, bodies
from recognition.models import TrainedModel

BODIES = bodies(DetectFiles, DetectJson)


class Detect(TakesImages):
    wanted_schema = WantedBoxes
    json_schema = DetectJson

    @extend_schema(operation_id='detect', parameters=[WantedBoxes], request=BODIES, responses=DetectOut)
    def post(self, request: Request, reference: str) -> Response:
        """1 to 20 images, about a second each. `reference`: a detector's id or a published name.

        Boxes are end-exclusive pixels of the upright image, the surest first.
        """
        return self._answer(trained_models.answering(self.person(), reference))

    def _answer(self, model: TrainedModel) -> Response:
        images, wanted = self.sent()
        detected = prediction.detect(model, [data for _, data in images], wanted.get('threshold'))
        return Response(_record(model, images, detected))


class DetectByName(Detect):
    @extend_schema(operation_id='detect_by_name', parameters=[WantedBoxes], request=BODIES, responses=DetectOut)
    def post(self, request: Request, name: str) -> Response:
        """The same, for published names only."""
        return self._answer(publishing.find(name, self.person()).model)


def _record(model: TrainedModel, images: Named, detected: prediction.Detected) -> dict[str, Any]:
    return {
        'model': str(model.pk),
        'version': model.version,
        'provisional': model.provisional,
        'threshold': round(detected.threshold, 6),
        'images': [
            {'name': name, 'width': answer.width, 'height': answer.height, 'objects': [_object(found) for found in answer.found]}
            for (name, _), answer in zip(images, detected.images, strict=True)
        ],
    }


def _object(found: prediction.Found) -> dict[str, Any]:
    corners = {'x0': found.x0, 'y0': found.y0, 'x1': found.x1, 'y1': found.y1}
    return {'label': found.label, 'score': round(found.score, 6), **corners}
