"""Loaded models, bounded in memory and keyed by digest."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Union

from transfer.runtime.lru import LruCache
from transfer.serving.artifacts import read_meta
from transfer.serving.classifier import Predictor

Loaded = Union[Predictor, 'DetectionPredictor']


def load_model(folder: Path, *, digest: str = '', device: str = 'cpu') -> Loaded:
    """Load the classifier or the detector of an artifact. Errors: CorruptArtifactError,
    IncompatibleArtifactError."""
    if read_meta(folder).detection is None:
        return Predictor(folder, digest=digest, device=device)
    # Only here: compiled proposals take a second to load.
    from transfer.serving.detector import DetectionPredictor

    return DetectionPredictor(folder, digest=digest, device=device)


class ModelCache:
    """Loaded models by digest, bounded by bytes: the least recently used leave first. Safe to call from many
    threads."""

    def __init__(self, limit: int, load: Callable[[Path, str], Loaded] | None = None) -> None:
        """`limit`: bytes. A model larger than the limit is held alone."""
        self._load = load or (lambda folder, digest: load_model(folder, digest=digest))
        self._models: LruCache[str, Loaded] = LruCache(limit, lambda model: model.size)
        self._loading: dict[str, Future[Loaded]] = {}
        self._lock = threading.Lock()

    def get(self, digest: str) -> Loaded | None:
        """The model of that digest if it is loaded; its folder is not needed."""
        with self._lock:
            return self._models.get(digest)

    def get_or_load(self, folder: Path, digest: str) -> Loaded:
        """The model of that digest, loaded once however many threads ask for it at the same time.

        An exception of the loader is raised in all of them and not remembered: the next call tries again.
        """
        with self._lock:
            model = self._models.get(digest)
            if model is not None:
                return model
            future = self._loading.get(digest)
            is_loader = future is None
            if future is None:
                future = self._loading[digest] = Future()
        if is_loader:
            self._load_into(future, folder, digest)
        return future.result()

    @property
    def size(self) -> int:
        """Bytes of the models held."""
        return self._models.size

    def __contains__(self, digest: str) -> bool:
        return digest in self._models

    def _load_into(self, future: Future[Loaded], folder: Path, digest: str) -> None:
        try:
            model = self._load(folder, digest)
        except BaseException as error:
            with self._lock:
                del self._loading[digest]
            future.set_exception(error)
            return
        with self._lock:
            self._models.put(digest, model)
            del self._loading[digest]
        future.set_result(model)


if TYPE_CHECKING:
    from transfer.serving.detector import DetectionPredictor
