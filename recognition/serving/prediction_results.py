"""What a prediction returns: plain records, and the one JSON form that REST, jobs and commands share.

The JSON is written by hand: shaping a thousand scores by a serializer costs more than classifying the photo.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from recognition.models import TrainedModel


@dataclass(frozen=True)
class ModelVersion:
    """The model that a prediction is from."""

    id: str
    version: int
    provisional: bool

    @classmethod
    def from_model(cls, model: TrainedModel) -> ModelVersion:
        return cls(str(model.pk), model.version, model.provisional)

    def to_json(self) -> dict[str, object]:
        return {'model': self.id, 'version': self.version, 'provisional': self.provisional}


@dataclass(frozen=True)
class ClassScore:
    label: str
    score: float  # calibrated probability, 0 to 1

    def to_json(self) -> dict[str, object]:
        return {'label': self.label, 'score': round(self.score, 6)}


@dataclass(frozen=True)
class ImageClassification:
    """The scores of one image, the best class first."""

    scores: tuple[ClassScore, ...]

    def to_json(self) -> dict[str, object]:
        return {'scores': [score.to_json() for score in self.scores]}


@dataclass(frozen=True)
class DetectedBox:
    """One detection: end-exclusive pixels of the upright image."""

    label: str
    score: float  # 0 to 1
    x0: float
    y0: float
    x1: float
    y1: float

    def to_json(self) -> dict[str, object]:
        corners = {'x0': self.x0, 'y0': self.y0, 'x1': self.x1, 'y1': self.y1}
        return {'label': self.label, 'score': round(self.score, 6), **corners}


@dataclass(frozen=True)
class ImageDetections:
    """The detections on one image, the highest score first."""

    width: int  # pixels, upright
    height: int
    detections: tuple[DetectedBox, ...]

    def to_json(self) -> dict[str, object]:
        boxes = [box.to_json() for box in self.detections]
        return {'width': self.width, 'height': self.height, 'detections': boxes}


@dataclass(frozen=True)
class ClassificationResult:
    model: ModelVersion
    images: tuple[ImageClassification, ...]

    def to_json(self, names: Sequence[str]) -> dict[str, object]:
        """names: what each image is called, in their order."""
        return {**self.model.to_json(), 'images': _name_images(names, self.images)}


@dataclass(frozen=True)
class DetectionResult:
    model: ModelVersion
    threshold: float  # the lowest score of a detection: the model's own threshold unless one was asked for
    images: tuple[ImageDetections, ...]

    def to_json(self, names: Sequence[str]) -> dict[str, object]:
        """names: what each image is called, in their order."""
        images = _name_images(names, self.images)
        return {**self.model.to_json(), 'threshold': round(self.threshold, 6), 'images': images}


def _name_images(
    names: Sequence[str], images: Sequence[ImageClassification | ImageDetections]
) -> list[dict[str, object]]:
    return [{'name': name, **image.to_json()} for name, image in zip(names, images, strict=True)]
