"""The kinds of detectors by name.

No torch until a detector is asked for: a server of sealed graphs runs without.

Each kind of transfer.spec.detectors has a package in transfer.detection, named as DetectorInfo.field, with
these modules:

    detector.py   DETECTOR, a transfer.detection.detector.Detector; imports torch
    infer.py      load_graphs(folder, meta): inference by sealed graphs; imports no torch
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

from transfer.regions.postprocess import Inference
from transfer.serving.artifacts import ArtifactMeta
from transfer.spec.detectors import DEFAULT, DETECTORS
from transfer.spec.errors import IncompatibleArtifactError, InvalidSpecError

if TYPE_CHECKING:
    from transfer.detection.detector import Detector


def get_detector(kind: str) -> Detector[Any]:
    """The detector of that kind; `auto` is the default. InvalidSpecError for one that does not exist."""
    kind = DEFAULT if kind == 'auto' else kind
    if kind not in DETECTORS:
        raise InvalidSpecError(f'detector must be one of {", ".join(DETECTORS)}', 'detector')
    detector: Detector[Any] = import_module(f'{__package__}.{DETECTORS[kind].field}.detector').DETECTOR
    return detector


def load_graphs(folder: Path, meta: ArtifactMeta) -> Inference:
    """Inference by the artifact's graphs, without torch. IncompatibleArtifactError for an unknown kind."""
    kind = meta.detector.kind
    if kind not in DETECTORS:
        raise IncompatibleArtifactError(f'the model in {folder.name} is of the unknown kind {kind!r}')
    inference: Inference = import_module(f'{__package__}.{DETECTORS[kind].field}.infer').load_graphs(
        folder, meta
    )
    return inference
