"""A trained model answers for photos: scores with class names, or boxes around what it finds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from django.conf import settings

from recognition import storage
from recognition.datasets import decoding
from recognition.errors import (
    InvalidImageError,
    InvalidInputError,
    ModelOverloadedError,
    ModelUnavailableError,
    TooLargeError,
)
from recognition.models import TrainedModel
from recognition.models.project import Task
from transfer.serving.artifacts import read_meta
from transfer.spec import errors as spec_errors
from transfer.spec.errors import ArtifactError, UnreadableImageError

if TYPE_CHECKING:
    from transfer.regions.postprocess import Detections
    from transfer.serving.classifier import Predictor
    from transfer.serving.detector import DetectionPredictor
    from transfer.serving.model_cache import Loaded, ModelCache


@dataclass(frozen=True)
class ClassScore:
    label: str
    score: float  # calibrated probability, 0 to 1


@dataclass(frozen=True)
class ImageClassification:
    """One image's answer: the best class first."""

    scores: tuple[ClassScore, ...]


@dataclass(frozen=True)
class DetectedBox:
    """One thing: end-exclusive pixels of the upright image."""

    label: str
    score: float  # 0 to 1
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class ImageDetections:
    """One image's answer: the surest thing first."""

    width: int  # pixels, upright
    height: int
    found: tuple[DetectedBox, ...]


@dataclass(frozen=True)
class DetectionResult:
    """`threshold`: the score from which on things are told; the model's own unless one was asked for."""

    threshold: float
    images: tuple[ImageDetections, ...]


def detect(
    model: TrainedModel,
    images: Sequence[bytes],
    threshold: float | None = None,
    told: Callable[[int], None] = lambda count: None,
) -> DetectionResult:
    """What is where on each image, in their order. `told` hears how many are done; what it raises stops the rest.

    Errors: InvalidInputError (how many, threshold, a model of another task), InvalidImageError and TooLargeError (field `images[2]`),
    ModelUnavailableError, ModelOverloadedError.
    """
    _validate(images, None, threshold or 0.0)
    detector = _load_detector(model)
    lowest = detector.threshold if threshold is None else threshold
    answers = []
    for index, image in enumerate(images):
        told(index)
        answers.append(_detect(detector, image, lowest, index))
    return DetectionResult(lowest, tuple(answers))


def validate_detection(model: TrainedModel, images: Sequence[bytes], threshold: float | None) -> None:
    """Refuse what can be told before anything is looked at. Errors: as `detect`, but for the models that cannot be loaded."""
    _validate(images, None, threshold or 0.0)
    _check_is_detector(model)
    for index, image in enumerate(images):
        with _name_image_in_errors(f'images[{index}]'):
            decoding.read_header(image)


def estimate_seconds(model: TrainedModel) -> float:
    """What one photo takes a detector, as it was measured on a CPU when it was sealed.

    0 where that is not known, or where a GPU answers: such a request is answered at once, whatever it takes.
    """
    if settings.SERVE_DEVICE != 'cpu':
        return 0.0
    try:
        return _read_seconds_per_image(model.artifact, model.digest)
    except (ArtifactError, OSError):
        return 0.0  # loading it says what is wrong


@lru_cache(maxsize=256)
def _read_seconds_per_image(artifact: str, digest: str) -> float:
    """`digest` tells the first model of a training from the one that took its place."""
    meta = read_meta(storage.local_path(f'models/{artifact}/meta.json').parent)
    return float(meta.detection.get('serving_seconds', 0.0))


def record(model: TrainedModel, names: Sequence[str], detected: DetectionResult) -> dict[str, Any]:
    """An answer as plain JSON: what REST tells, and what a job keeps."""
    return {
        'model': str(model.pk),
        'version': model.version,
        'provisional': model.provisional,
        'threshold': round(detected.threshold, 6),
        'images': [
            {
                'name': name,
                'width': answer.width,
                'height': answer.height,
                'detections': [_box_to_json(found) for found in answer.found],
            }
            for name, answer in zip(names, detected.images, strict=True)
        ],
    }


def _box_to_json(found: DetectedBox) -> dict[str, Any]:
    corners = {'x0': found.x0, 'y0': found.y0, 'x1': found.x1, 'y1': found.y1}
    return {'label': found.label, 'score': round(found.score, 6), **corners}


def get_threshold(model: TrainedModel) -> float:
    """The score from which on a detector's things are told unless another is asked for. Errors: as `detect`."""
    return _load_detector(model).threshold


def classify(
    model: TrainedModel, images: Sequence[bytes], top: int | None = None, threshold: float = 0.0
) -> list[ImageClassification]:
    """Each image's classes with a score of at least `threshold`, at most `top` of them, in the order of the images.

    Errors: InvalidInputError (how many, top, threshold), InvalidImageError and TooLargeError (field `images[2]`), ModelUnavailableError, ModelOverloadedError.
    """
    _validate(images, top, threshold)
    predictor = _load_classifier(model)
    pixels = np.stack([_decode(predictor, image, f'images[{index}]') for index, image in enumerate(images)])
    try:
        rows = predictor.classify_pixels(pixels)
    except spec_errors.OverloadedError as error:
        raise ModelOverloadedError(
            'Too many images are waiting for this model; try again in a moment.'
        ) from error
    return [_rank(predictor.labels, row, top, threshold) for row in rows]


def load_model(model: TrainedModel) -> None:
    """Load the model, so that the first request finds it. Error: ModelUnavailableError."""
    _load_current(model)


def _validate(images: Sequence[bytes], top: int | None, threshold: float) -> None:
    if not images:
        raise InvalidInputError('Send at least one image.', field='images')
    if len(images) > settings.MAX_IMAGES_PER_PREDICTION:
        raise InvalidInputError(
            f'Send at most {settings.MAX_IMAGES_PER_PREDICTION} images at once.', field='images'
        )
    if top is not None and top < 1:
        raise InvalidInputError('top must be at least 1.', field='top')
    if not 0 <= threshold <= 1:
        raise InvalidInputError('threshold must be between 0 and 1.', field='threshold')


def _decode(predictor: Predictor, image: bytes, field: str) -> np.ndarray:
    """The header is checked as for an upload; the pixels come by the fast way that training took."""
    with _name_image_in_errors(field):
        decoding.read_header(image)
        return predictor.decode(image)


def _detect(detector: DetectionPredictor, image: bytes, lowest: float, index: int) -> ImageDetections:
    with _name_image_in_errors(f'images[{index}]'):
        decoding.read_header(image)
        try:
            found, photo = detector.detect(image)
        except spec_errors.OverloadedError as error:
            raise ModelOverloadedError(
                'Too many images are waiting for this model; try again in a moment.'
            ) from error
    return ImageDetections(photo.width, photo.height, tuple(_to_boxes(detector.labels, found, lowest)))


def _to_boxes(labels: Sequence[str], found: Detections, lowest: float) -> Iterator[DetectedBox]:
    for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True):
        if score >= lowest:
            x0, y0, x1, y1 = (round(float(corner), 2) for corner in box)
            yield DetectedBox(labels[label], float(score), x0, y0, x1, y1)


@contextmanager
def _name_image_in_errors(field: str) -> Iterator[None]:
    """Refusals of one image name it."""
    try:
        yield
    except UnreadableImageError as error:
        raise InvalidImageError(f'{field} is damaged or cut short', field=field) from error
    except (InvalidImageError, InvalidInputError, TooLargeError) as error:
        raise type(error)(f'{field} {error.message}', field=field) from error


def _rank(labels: Sequence[str], row: np.ndarray, top: int | None, threshold: float) -> ImageClassification:
    order = np.argsort(-row, kind='stable')[:top]
    return ImageClassification(
        tuple(ClassScore(labels[index], float(row[index])) for index in order if row[index] >= threshold)
    )


def _load_classifier(model: TrainedModel) -> Predictor:
    if model.task == Task.DETECTION:
        raise InvalidInputError('This model finds things in photos: ask it to detect, not to classify.')
    return cast('Predictor', _load_current(model))


def _check_is_detector(model: TrainedModel) -> None:
    if model.task != Task.DETECTION:
        raise InvalidInputError(
            'This model tells what a whole photo shows: ask it to classify, not to detect.'
        )


def _load_detector(model: TrainedModel) -> DetectionPredictor:
    _check_is_detector(model)
    return cast('DetectionPredictor', _load_current(model))


def _load_current(model: TrainedModel) -> Loaded:
    try:
        return _load(model)
    except (ArtifactError, OSError) as error:
        seen = model.digest
        model.refresh_from_db(fields=['artifact', 'digest', 'labels', 'provisional'])
        if model.digest == seen:
            raise ModelUnavailableError(f'The model {model} cannot be loaded: {error}') from error
    # Its training ended between our reading of the row and of the files: the finished model took the place of the instant one.
    return _load(model)


def _load(model: TrainedModel) -> Loaded:
    models = _get_cache()
    return models.get(model.digest) or models.predictor(storage.artifact_folder(model.artifact), model.digest)


_cache: ModelCache | None = None
_cache_lock = threading.Lock()


def _get_cache() -> ModelCache:
    """This process's cache, made with the first prediction: what never predicts never loads the runtime."""
    global _cache
    with _cache_lock:
        if _cache is None:
            from transfer.serving.model_cache import ModelCache, load_model

            _cache = ModelCache(
                settings.MODEL_CACHE_BYTES,
                lambda folder, digest: load_model(folder, digest=digest, device=settings.SERVE_DEVICE),
            )
    return _cache
