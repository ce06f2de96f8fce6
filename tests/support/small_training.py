"""A set of coloured pictures and small sources with random weights, for tests that train in seconds on one
core."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file

from tests.support.photos import draw_photo
from transfer.data.manifests import LabelledImage, Manifest
from transfer.spec.report import Progress, SealedModel
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.registry import architecture
from transfer.zoo.weights import file_digest

TINTS = {'blue': (90, 90, 150), 'green': (90, 140, 90), 'red': (150, 90, 90)}


def write_photos(
    folder: Path, per_class: int = 10, tints: dict[str, tuple[int, int, int]] = TINTS
) -> Manifest:
    """Pictures that differ by tint and noise; the manifest of them."""
    folder.mkdir(parents=True, exist_ok=True)
    images = []
    for label, tint in enumerate(tints.values()):
        for index in range(per_class):
            data = draw_photo(1000 * label + index, side=40, tint=tint)
            path = folder / f'{label}-{index}.jpg'
            path.write_bytes(data)
            images.append(
                LabelledImage(
                    str(path), label, hashlib.sha256(data).hexdigest(), path.name, f'row {label}-{index}'
                )
            )
    return Manifest(tuple(tints), tuple(images))


def source(
    folder: Path, name: str = 'tiny', network: str = 'lenet5', side: int = 32, seed: int = 0
) -> SourceModelSpec:
    """A network with random weights in a file: its features are poor but real."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(seed)
    path = folder / f'{name}.safetensors'
    save_file(architecture(network).build(7).state_dict(), path)
    return SourceModelSpec(name, network, str(path), file_digest(path), 7, 1000 + seed, side, dataset=name)


@dataclass
class RecordingReport:
    """A report that keeps what it hears, and raises when the `raise_at`-th word is said."""

    raise_at: int = -1
    error: type[Exception] = InterruptedError
    recorded: list[Progress] = field(default_factory=list)
    instants: list[SealedModel] = field(default_factory=list)

    def progress(self, progress: Progress) -> None:
        self.recorded.append(progress)
        if len(self.recorded) == self.raise_at:
            raise self.error

    def instant(self, model: SealedModel) -> None:
        self.instants.append(model)
