"""Loaded models, bounded in memory and keyed by digest."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import TYPE_CHECKING, Union

from transfer.serving.artifacts import read_meta
from transfer.serving.classifier import Predictor

Loaded = Union[Predictor, 'DetectionPredictor']


def load_model(folder: Path, *, digest: str = '', device: str = 'cpu') -> Loaded:
    """What the artifact holds: a classifier or a detector. Errors: CorruptArtifactError,
    IncompatibleArtifactError."""
    if not read_meta(folder).detection:
        return Predictor(folder, digest=digest, device=device)
    # Only here: compiled proposals take a second to load.
    from transfer.serving.detector import DetectionPredictor

    return DetectionPredictor(folder, digest=digest, device=device)


class ModelCache:
    """Loaded models by digest, the least recently used leaving first when their sizes pass the limit."""

    def __init__(self, limit: int, load: Callable[[Path, str], Loaded] | None = None) -> None:
        """`limit`: bytes. A model larger than the limit is held alone."""
        self._limit = limit
        self._load = load or (lambda folder, digest: load_model(folder, digest=digest))
        self._models: OrderedDict[str, Loaded] = OrderedDict()
        self._loading: dict[str, Future[Loaded]] = {}
        self._lock = threading.Lock()

    def get(self, digest: str) -> Loaded | None:
        """The model of that digest if it is loaded, without a look at where its files lie."""
        with self._lock:
            model = self._models.get(digest)
            if model is not None:
                self._models.move_to_end(digest)
            return model

    def predictor(self, folder: Path, digest: str) -> Loaded:
        """The model of that digest, loaded once however many ask for it at the same time."""
        with self._lock:
            if digest in self._models:
                self._models.move_to_end(digest)
                return self._models[digest]
            future = self._loading.get(digest)
            mine = future is None
            if future is None:
                future = self._loading[digest] = Future()
        if mine:
            self._fill(future, folder, digest)
        return future.result()

    @property
    def held(self) -> int:
        """Bytes of the models held."""
        return sum(model.size for model in self._models.values())

    def __contains__(self, digest: str) -> bool:
        return digest in self._models

    def _fill(self, future: Future[Loaded], folder: Path, digest: str) -> None:
        """A failure is told to all who wait, and forgotten: the next request tries again."""
        try:
            model = self._load(folder, digest)
        except BaseException as error:
            with self._lock:
                del self._loading[digest]
            future.set_exception(error)
            return
        with self._lock:
            self._models[digest] = model
            del self._loading[digest]
            while self.held > self._limit and len(self._models) > 1:
                self._models.popitem(last=False)
        future.set_result(model)


if TYPE_CHECKING:
    from transfer.serving.detector import DetectionPredictor
