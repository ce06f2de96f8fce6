"""It has no graphs: torch serves it."""

from __future__ import annotations

from pathlib import Path

from transfer.regions.postprocess import Inference
from transfer.serving.artifacts import ArtifactMeta
from transfer.spec.errors import CorruptArtifactError


def load_graphs(folder: Path, meta: ArtifactMeta) -> Inference:
    raise CorruptArtifactError(f'the model in {folder.name} has no graphs')
