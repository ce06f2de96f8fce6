"""Serve a sealed classifier: encoded photos in, calibrated probabilities out. On a CPU without torch."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import numpy as np

from transfer.data.decode import decode
from transfer.runtime.softmax import softmax
from transfer.serving.artifacts import GRAPH, WEIGHTS, ArtifactMeta, read_meta, verify
from transfer.serving.batching import GreedyBatches
from transfer.serving.openvino_engine import OpenVinoEngine
from transfer.spec.errors import CorruptArtifactError

STREAMS = min(2, os.cpu_count() or 1)  # batches of one model computed at a time, each on one thread
# A network that takes less than this many milliseconds an image gets one stream: what surrounds it is the
# bottleneck then, and a second stream cost a tenth more CPU time a request (MobileNet v3 small) and memory
# without a gain.
FAST_MILLISECONDS = 5.0
# What a loaded model holds beside its weights, in multiples of them and in bytes (measured:
# docs/performance.md).
PACKED, OVERHEAD = 2.0, 48 * 2**20


class ClassifierEngine(Protocol):
    streams: int
    largest: int  # images worth computing together

    def logits(self, images: np.ndarray) -> np.ndarray:
        """uint8 (n, side, side, 3) -> float32 (n, classes), from any thread."""
        ...


class Predictor:
    """One model, loaded. Safe to call from many threads: calls that wait are computed in one batch."""

    def __init__(
        self, folder: Path, *, digest: str = '', device: str = 'cpu', streams: int | None = None
    ) -> None:
        """Check every file, then load. `digest`: the artifact's, if known. Errors: CorruptArtifactError,
        IncompatibleArtifactError."""
        self.meta: ArtifactMeta = read_meta(folder)
        if digest and self.meta.digest != digest:
            raise CorruptArtifactError(f'the model in {folder.name} is not the one that was trained')
        verify(folder, self.meta)
        self.labels = self.meta.labels
        self.size = int(OVERHEAD + PACKED * (folder / WEIGHTS).stat().st_size)  # bytes of memory, about
        engine = _load_engine(folder, self.meta, device, streams or _choose_streams(self.meta))
        self._batches = GreedyBatches(engine.logits, concurrency=engine.streams, largest=engine.largest)

    def decode(self, image: bytes) -> np.ndarray:
        """The square that this model sees: uint8 (side, side, 3). UnreadableImageError."""
        return decode(image, self.meta.preprocessing.side, self.meta.preprocessing.resize)

    def classify_pixels(self, pixels: np.ndarray) -> np.ndarray:
        """uint8 (n, side, side, 3) as `decode` gives it -> probabilities (n, classes) in the order of
        `labels`. Error: OverloadedError."""
        return softmax(self._batches.submit(pixels).astype(np.float64), self.meta.temperature)


def _choose_streams(meta: ArtifactMeta) -> int:
    milliseconds = [
        check.milliseconds for check in meta.engine.checks or () if check.precision == meta.engine.precision
    ]
    return 1 if milliseconds and milliseconds[0] < FAST_MILLISECONDS else STREAMS


def _load_engine(folder: Path, meta: ArtifactMeta, device: str, streams: int) -> ClassifierEngine:
    if device == 'cpu' and meta.engine.name == 'openvino':
        try:
            return OpenVinoEngine(folder / GRAPH, meta.engine.precision, streams)
        except (
            RuntimeError
        ) as error:  # the files are those that were sealed, yet this runtime cannot read them
            raise CorruptArtifactError(
                f'the graph of {folder.name} cannot be loaded: {str(error)[:200]}'
            ) from error
    from transfer.serving.torch_classifier import (
        TorchEngine,  # only here: torch costs 0.7 GB, which the graph spares
    )

    return TorchEngine(folder, meta, device)
