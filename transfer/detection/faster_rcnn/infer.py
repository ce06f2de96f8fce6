"""Faster R-CNN's inference around its network, which does all but bring boxes back to the photo's own pixels.

No torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from transfer.data.decode import UprightImage
from transfer.regions.postprocess import Detections, Inference
from transfer.serving.artifacts import ArtifactMeta
from transfer.spec.errors import CorruptArtifactError

# Boxes (n, 4) in pixels of the input, scores (n,), best first, and labels (n,) from 1.
Predictions = tuple[np.ndarray, np.ndarray, np.ndarray]


class FasterRcnnInference:
    """A photo becomes detections; proposals are not looked at."""

    def __init__(self, predict: Callable[[np.ndarray], Predictions]) -> None:
        """`predict`: uint8 RGB (h, w, 3) -> what is on it."""
        self._predict = predict

    def __call__(self, photo: UprightImage, proposals: np.ndarray) -> Detections:
        boxes, scores, labels = self._predict(photo.pixels)
        height, width, _ = photo.pixels.shape
        scale = np.array([photo.width / width, photo.height / height] * 2)
        return Detections(boxes.astype(float) * scale, scores.astype(float), labels - 1)


def load_graphs(folder: Path, meta: ArtifactMeta) -> Inference:
    """Refuse: no artifact of this kind has a graph."""
    raise CorruptArtifactError(
        f'the model in {folder.name} claims a graph, but torch alone runs Faster R-CNN'
    )
