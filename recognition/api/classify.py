"""What a photo shows: images in, calibrated scores out."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema
from rest_framework.request import Request
from rest_framework.response import Response

from recognition.api.learning_schemas import ClassifyFiles, ClassifyJson, ClassifyOut, Wanted
from recognition.api.photo_parsing import Named, TakesImages, bodies
from recognition.models import TrainedModel
from recognition.serving import prediction, publishing, trained_models

BODIES = bodies(ClassifyFiles, ClassifyJson)


class Classify(TakesImages):
    wanted_schema = Wanted
    json_schema = ClassifyJson

    @extend_schema(operation_id='classify', parameters=[Wanted], request=BODIES, responses=ClassifyOut)
    def post(self, request: Request, reference: str) -> Response:
        """1 to 20 images. `reference`: a model's id or a published name. One bad image refuses the request and is named."""
        return self._answer(trained_models.find_for_prediction(self.person(), reference))

    def _answer(self, model: TrainedModel) -> Response:
        images, wanted = self.sent()
        answers = prediction.classify(
            model, [data for _, data in images], wanted.get('top'), wanted.get('threshold', 0.0)
        )
        return Response(_record(model, images, answers))


class ClassifyByName(Classify):
    @extend_schema(
        operation_id='classify_by_name', parameters=[Wanted], request=BODIES, responses=ClassifyOut
    )
    def post(self, request: Request, name: str) -> Response:
        """The same, for published names only."""
        return self._answer(publishing.find(name, self.person()).model)


def _record(
    model: TrainedModel, images: Named, answers: list[prediction.ImageClassification]
) -> dict[str, Any]:
    """Written by hand: shaping a thousand scores by a serialiser costs more than recognising the photo."""
    return {
        'model': str(model.pk),
        'version': model.version,
        'provisional': model.provisional,
        'images': [
            {
                'name': name,
                'scores': [{'label': score.label, 'score': round(score.score, 6)} for score in answer.scores],
            }
            for (name, _), answer in zip(images, answers, strict=True)
        ],
    }
