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
    from transfer.serving.detector import Detector
    from transfer.serving.model_cache import Loaded, ModelCache


@dataclass(frozen=True)
class Score:
    label: str
    score: float  # calibrated probability, 0 to 1


@dataclass(frozen=True)
class Classification:
    """One image's answer: the best class first."""

    scores: tuple[Score, ...]


@dataclass(frozen=True)
class Found:
    """One thing: end-exclusive pixels of the upright image."""

    label: str
    score: float  # 0 to 1
    x0: float
    y0: float
    x1: float
    y1: float


@dataclass(frozen=True)
class Detection:
    """One image's answer: the surest thing first."""

    width: int  # pixels, upright
    height: int
    found: tuple[Found, ...]


@dataclass(frozen=True)
class Detected:
    """`threshold`: the score from which on things are told; the model's own unless one was asked for."""

    threshold: float
    images: tuple[Detection, ...]


def detect(
    model: TrainedModel,
    images: Sequence[bytes],
    threshold: float | None = None,
    told: Callable[[int], None] = lambda count: None,
) -> Detected:
    """What is where on each image, in their order. `told` hears how many are done; what it raises stops the rest.

    Errors: InvalidInputError (how many, threshold, a model of another task), InvalidImageError and TooLargeError (field `images[2]`),
    ModelUnavailableError, ModelOverloadedError.
    """
    _check(images, None, threshold or 0.0)
    detector = _detector(model)
    lowest = detector.threshold if threshold is None else threshold
    answers = []
    for index, image in enumerate(images):
        told(index)
        answers.append(_detect(detector, image, lowest, index))
    return Detected(lowest, tuple(answers))


def check_detection(model: TrainedModel, images: Sequence[bytes], threshold: float | None) -> None:
    """Refuse what can be told before anything is looked at. Errors: as `detect`, but for the models that cannot be loaded."""
    _check(images, None, threshold or 0.0)
    _check_detects(model)
    for index, image in enumerate(images):
        with _named(f'images[{index}]'):
            decoding.read_header(image)


def expected_seconds(model: TrainedModel) -> float:
    """What one photo takes a detector, as it was measured on a CPU when it was sealed.

    0 where that is not known, or where a GPU answers: such a request is answered at once, whatever it takes.
    """
    if settings.SERVE_DEVICE != 'cpu':
        return 0.0
    try:
        return _sealed_seconds(model.artifact, model.digest)
    except (ArtifactError, OSError):
        return 0.0  # loading it says what is wrong


@lru_cache(maxsize=256)
def _sealed_seconds(artifact: str, digest: str) -> float:
    """`digest` tells the first model of a training from the one that took its place."""
    meta = read_meta(storage.local_path(f'models/{artifact}/meta.json').parent)
    return float(meta.detection.get('answer_seconds', 0.0))


def record(model: TrainedModel, names: Sequence[str], detected: Detected) -> dict[str, Any]:
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
                'objects': [_object(found) for found in answer.found],
            }
            for name, answer in zip(names, detected.images, strict=True)
        ],
    }


def _object(found: Found) -> dict[str, Any]:
    corners = {'x0': found.x0, 'y0': found.y0, 'x1': found.x1, 'y1': found.y1}
    return {'label': found.label, 'score': round(found.score, 6), **corners}


def own_threshold(model: TrainedModel) -> float:
    """The score from which on a detector's things are told unless another is asked for. Errors: as `detect`."""
    return _detector(model).threshold


def classify(
    model: TrainedModel, images: Sequence[bytes], top: int | None = None, threshold: float = 0.0
) -> list[Classification]:
    """Each image's classes with a score of at least `threshold`, at most `top` of them, in the order of the images.

    Errors: InvalidInputError (how many, top, threshold), InvalidImageError and TooLargeError (field `images[2]`), ModelUnavailableError, ModelOverloadedError.
    """
    _check(images, top, threshold)
    predictor = _classifier(model)
    pixels = np.stack([_decode(predictor, image, f'images[{index}]') for index, image in enumerate(images)])
    try:
        rows = predictor.classify_pixels(pixels)
    except spec_errors.OverloadedError as error:
        raise ModelOverloadedError(
            'Too many images are waiting for this model; try again in a moment.'
        ) from error
    return [_ranked(predictor.labels, row, top, threshold) for row in rows]


def warm(model: TrainedModel) -> None:
    """Load the model, so that the first request finds it. Error: ModelUnavailableError."""
    _loaded(model)


def _check(images: Sequence[bytes], top: int | None, threshold: float) -> None:
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
    with _named(field):
        decoding.read_header(image)
        return predictor.decode(image)


def _detect(detector: Detector, image: bytes, lowest: float, index: int) -> Detection:
    with _named(f'images[{index}]'):
        decoding.read_header(image)
        try:
            found, photo = detector.detect(image)
        except spec_errors.OverloadedError as error:
            raise ModelOverloadedError(
                'Too many images are waiting for this model; try again in a moment.'
            ) from error
    return Detection(photo.width, photo.height, tuple(_told(detector.labels, found, lowest)))


def _told(labels: Sequence[str], found: Detections, lowest: float) -> Iterator[Found]:
    for box, score, label in zip(found.boxes, found.scores, found.labels, strict=True):
        if score >= lowest:
            x0, y0, x1, y1 = (round(float(corner), 2) for corner in box)
            yield Found(labels[label], float(score), x0, y0, x1, y1)


@contextmanager
def _named(field: str) -> Iterator[None]:
    """Refusals of one image name it."""
    try:
        yield
    except UnreadableImageError as error:
        raise InvalidImageError(f'{field} is damaged or cut short', field=field) from error
    except (InvalidImageError, InvalidInputError, TooLargeError) as error:
        raise type(error)(f'{field} {error.message}', field=field) from error


def _ranked(labels: Sequence[str], row: np.ndarray, top: int | None, threshold: float) -> Classification:
    order = np.argsort(-row, kind='stable')[:top]
    return Classification(
        tuple(Score(labels[index], float(row[index])) for index in order if row[index] >= threshold)
    )


def _classifier(model: TrainedModel) -> Predictor:
    if model.task == Task.DETECTION:
        raise InvalidInputError('This model finds things in photos: ask it to detect, not to classify.')
    return cast('Predictor', _loaded(model))


def _check_detects(model: TrainedModel) -> None:
    if model.task != Task.DETECTION:
        raise InvalidInputError(
            'This model tells what a whole photo shows: ask it to classify, not to detect.'
        )


def _detector(model: TrainedModel) -> Detector:
    _check_detects(model)
    return cast('Detector', _loaded(model))


def _loaded(model: TrainedModel) -> Loaded:
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
    models = _models()
    return models.get(model.digest) or models.predictor(storage.artifact_folder(model.artifact), model.digest)


_cache: ModelCache | None = None
_cache_lock = threading.Lock()


def _models() -> ModelCache:
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
