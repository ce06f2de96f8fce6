"""Torch runs a sealed detector: on a GPU, and on a CPU where its graphs could not be made."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np

from transfer.data.decode import UprightImage
from transfer.detection.registry import get_detector
from transfer.regions.postprocess import Detections, Inference
from transfer.serving.artifacts import ArtifactMeta
from transfer.spec.errors import IncompatibleArtifactError, InvalidSpecError, UnusableSourceError


def load_torch(folder: Path, meta: ArtifactMeta, device: str) -> Inference:
    """The detector rebuilt from its architecture with the artifact's weights, for one photo at a time."""
    try:
        infer = get_detector(meta.detector.kind).load(folder, meta, device)
    except InvalidSpecError as error:
        raise IncompatibleArtifactError(f'the model in {folder.name}: {error.message}') from error
    except UnusableSourceError as error:
        raise IncompatibleArtifactError(
            f'the model in {folder.name} needs the architecture {meta.architecture!r}'
        ) from error
    lock = threading.Lock()

    def infer_alone(photo: UprightImage, proposals: np.ndarray) -> Detections:
        with lock:
            return infer(photo, proposals)

    return infer_alone
