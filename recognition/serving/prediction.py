"""Predict with a trained model: classify photos, or detect objects on them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from typing import TYPE_CHECKING, cast

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
from recognition.serving.prediction_results import (
    ClassificationResult,
    ClassScore,
    DetectedBox,
    DetectionResult,
    ImageClassification,
    ImageDetections,
    ModelVersion,
)
from transfer.serving.artifacts import read_meta
from transfer.spec import errors as spec_errors
from transfer.spec.errors import ArtifactError, UnreadableImageError

if TYPE_CHECKING:
    from transfer.regions.postprocess import Detections
    from transfer.serving.classifier import Predictor
    from transfer.serving.detector import DetectionPredictor
    from transfer.serving.model_cache import Loaded, ModelCache


def detect(
    model: TrainedModel,
    images: Sequence[bytes],
    threshold: float | None = None,
    on_image: Callable[[int], None] = lambda index: None,
) -> DetectionResult:
    """Detect objects on images. `on_image` gets the index of each image before it is read; an exception from
    it stops the rest.

    Errors: InvalidInputError (how many, threshold, a model of another task), InvalidImageError and
    TooLargeError (field `images[2]`), ModelUnavailableError, ModelOverloadedError.
    """
    _validate(images, None, threshold or 0.0)
    detector = _load_detector(model)
    lowest = detector.threshold if threshold is None else threshold
    results = []
    for index, image in enumerate(images):
        on_image(index)
        results.append(_detect(detector, image, lowest, index))
    return DetectionResult(ModelVersion.from_model(model), lowest, tuple(results))


def validate_detection(model: TrainedModel, images: Sequence[bytes], threshold: float | None) -> None:
    """Check a request without loading the model. Errors: as `detect`, except ModelUnavailableError and
    ModelOverloadedError.
    """
    _validate(images, None, threshold or 0.0)
    _check_is_detector(model)
    for index, image in enumerate(images):
        with _name_image_in_errors(f'images[{index}]'):
            decoding.read_header(image)


def estimate_seconds(model: TrainedModel) -> float:
    """Estimate how long a detector takes for one photo, from the measurement on a CPU when it was sealed.

    0 where that is not known, or on a GPU: such requests never become jobs.
    """
    if settings.SERVE_DEVICE != 'cpu':
        return 0.0
    try:
        return _read_seconds_per_image(model.artifact, model.digest)
    except (ArtifactError, OSError):
        return 0.0  # loading the model reports the error


@lru_cache(maxsize=256)
def _read_seconds_per_image(artifact: str, digest: str) -> float:
    """`digest` is part of the cache's key: the final model of a training replaces the instant model in the
    same folder.
    """
    meta = read_meta(storage.local_path(f'models/{artifact}/meta.json').parent)
    return meta.detector.serving_seconds or 0.0


def get_threshold(model: TrainedModel) -> float:
    """The lowest score of a detection unless another is asked for. Errors: as `detect`."""
    return _load_detector(model).threshold


def classify(
    model: TrainedModel, images: Sequence[bytes], top: int | None = None, threshold: float = 0.0
) -> ClassificationResult:
    """Score the classes of images: at most `top` of them, with a score of at least `threshold`.

    Errors: InvalidInputError (how many, top, threshold), InvalidImageError and TooLargeError (field
    `images[2]`), ModelUnavailableError, ModelOverloadedError.
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
    classified = tuple(_rank(predictor.labels, row, top, threshold) for row in rows)
    return ClassificationResult(ModelVersion.from_model(model), classified)


def load_model(model: TrainedModel) -> None:
    """Load a model into the cache before the first request. Error: ModelUnavailableError."""
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
    """Check the header as for an upload, and decode the pixels with the fast decoder that training used."""
    with _name_image_in_errors(field):
        decoding.read_header(image)
        return predictor.decode(image)


def _detect(detector: DetectionPredictor, image: bytes, lowest: float, index: int) -> ImageDetections:
    with _name_image_in_errors(f'images[{index}]'):
        decoding.read_header(image)
        try:
            detections, photo = detector.detect(image)
        except spec_errors.OverloadedError as error:
            raise ModelOverloadedError(
                'Too many images are waiting for this model; try again in a moment.'
            ) from error
    return ImageDetections(photo.width, photo.height, tuple(_to_boxes(detector.labels, detections, lowest)))


def _to_boxes(labels: Sequence[str], detections: Detections, lowest: float) -> Iterator[DetectedBox]:
    for box, score, label in zip(detections.boxes, detections.scores, detections.labels, strict=True):
        if score >= lowest:
            x0, y0, x1, y1 = (round(float(corner), 2) for corner in box)
            yield DetectedBox(labels[label], float(score), x0, y0, x1, y1)


@contextmanager
def _name_image_in_errors(field: str) -> Iterator[None]:
    """Let errors about one image name it."""
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
        raise InvalidInputError('This model is a detector: use detect instead of classify.')
    return cast('Predictor', _load_current(model))


def _check_is_detector(model: TrainedModel) -> None:
    if model.task != Task.DETECTION:
        raise InvalidInputError('This model is a classifier: use classify instead of detect.')


def _load_detector(model: TrainedModel) -> DetectionPredictor:
    _check_is_detector(model)
    return cast('DetectionPredictor', _load_current(model))


def _load_current(model: TrainedModel) -> Loaded:
    try:
        return _load(model)
    except (ArtifactError, OSError) as error:
        loaded = model.digest
        model.refresh_from_db(fields=['artifact', 'digest', 'labels', 'provisional'])
        if model.digest == loaded:
            raise ModelUnavailableError(f'The model {model} cannot be loaded: {error}') from error
    # The training ended after the row was read and before the files were: the final model replaced the
    # instant model.
    return _load(model)


def _load(model: TrainedModel) -> Loaded:
    models = _get_cache()
    return models.get(model.digest) or models.get_or_load(
        storage.artifact_folder(model.artifact), model.digest
    )


_cache: ModelCache | None = None
_cache_lock = threading.Lock()


def _get_cache() -> ModelCache:
    """This process's cache, created at the first prediction: a process that never predicts never loads
    OpenVINO.
    """
    global _cache
    with _cache_lock:
        if _cache is None:
            from transfer.serving.model_cache import ModelCache, load_model

            _cache = ModelCache(
                settings.MODEL_CACHE_BYTES,
                lambda folder, digest: load_model(folder, digest=digest, device=settings.SERVE_DEVICE),
            )
    return _cache
