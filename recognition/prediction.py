"""A trained model answers for photos: scores with class names."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from django.conf import settings

from recognition import pictures, storage
from recognition.errors import GraftError, InvalidImage, InvalidInput, ModelUnavailable, Overloaded
from recognition.models import TrainedModel
from transfer import spec
from transfer.spec import ArtifactError, UnreadableImage

if TYPE_CHECKING:
    from transfer.serving import ModelCache, Predictor


@dataclass(frozen=True)
class Score:
    label: str
    score: float  # calibrated probability, 0 to 1


@dataclass(frozen=True)
class Classification:
    """One image's answer: the best class first."""

    scores: tuple[Score, ...]


def classify(
    model: TrainedModel, images: Sequence[bytes], top: int | None = None, threshold: float = 0.0
) -> list[Classification]:
    """Each image's classes with a score of at least `threshold`, at most `top` of them, in the order of the images.

    Errors: InvalidInput (how many, top, threshold), InvalidImage and TooLarge (field `images[2]`), ModelUnavailable, Overloaded.
    """
    _check(images, top, threshold)
    predictor = _predictor(model)
    pixels = np.stack([_decode(predictor, image, f'images[{index}]') for index, image in enumerate(images)])
    try:
        rows = predictor.classify_pixels(pixels)
    except spec.Overloaded as error:
        raise Overloaded('Too many images are waiting for this model; try again in a moment.') from error
    return [_ranked(predictor.labels, row, top, threshold) for row in rows]


def warm(model: TrainedModel) -> None:
    """Load the model, so that the first request finds it. Error: ModelUnavailable."""
    _predictor(model)


def _check(images: Sequence[bytes], top: int | None, threshold: float) -> None:
    if not images:
        raise InvalidInput('Send at least one image.', field='images')
    if len(images) > settings.MAX_IMAGES_PER_PREDICTION:
        raise InvalidInput(f'Send at most {settings.MAX_IMAGES_PER_PREDICTION} images at once.', field='images')
    if top is not None and top < 1:
        raise InvalidInput('top must be at least 1.', field='top')
    if not 0 <= threshold <= 1:
        raise InvalidInput('threshold must be between 0 and 1.', field='threshold')


def _decode(predictor: Predictor, image: bytes, field: str) -> np.ndarray:
    """The header is checked as for an upload; the pixels come by the fast way that training took."""
    try:
        pictures.inspect(image)
        return predictor.decode(image)
    except UnreadableImage as error:
        raise InvalidImage(f'{field} is damaged or cut short', field=field) from error
    except GraftError as error:
        raise type(error)(f'{field} {error.message}', field=field) from error


def _ranked(labels: Sequence[str], row: np.ndarray, top: int | None, threshold: float) -> Classification:
    order = np.argsort(-row, kind='stable')[:top]
    return Classification(tuple(Score(labels[index], float(row[index])) for index in order if row[index] >= threshold))


def _predictor(model: TrainedModel) -> Predictor:
    try:
        return _load(model)
    except (ArtifactError, OSError) as error:
        seen = model.digest
        model.refresh_from_db(fields=['artifact', 'digest', 'labels', 'provisional'])
        if model.digest == seen:
            raise ModelUnavailable(f'The model {model} cannot be loaded: {error}') from error
    # Its training ended between our reading of the row and of the files: the finished model took the place of the instant one.
    return _load(model)


def _load(model: TrainedModel) -> Predictor:
    models = _models()
    return models.get(model.digest) or models.predictor(storage.artifact_folder(model.artifact), model.digest)


_cache: ModelCache | None = None
_cache_lock = threading.Lock()


def _models() -> ModelCache:
    """This process's cache, made with the first prediction: what never predicts never loads the runtime."""
    global _cache
    with _cache_lock:
        if _cache is None:
            from transfer.serving import ModelCache, Predictor

            _cache = ModelCache(
                settings.MODEL_CACHE_BYTES,
                lambda folder, digest: Predictor(folder, digest=digest, device=settings.SERVE_DEVICE),
            )
    return _cache
