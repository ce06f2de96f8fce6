"""Compute the signature of a set of images: the mean penultimate feature of the reference network over them
(p2l.signatures)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from p2l.signatures import mean_feature, round_mean_feature
from transfer.data.decode import decode
from transfer.runtime.atomic_write import write_json
from transfer.spec.errors import UnreadableImageError, UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture

MAX_IMAGES = 1000  # the mean feature of a thousand images moves by about 3 % of a feature's own deviation
BATCH = 32
SUFFIXES = {'.jpg', '.jpeg', '.png', '.webp', '.gif', '.bmp'}


@dataclass(frozen=True)
class Signature:
    """The mean feature of some images under a reference network, as it is stored."""

    mean: tuple[float, ...]  # (d,)
    images: int  # how many it was taken over
    skipped: tuple[str, ...] = ()  # why each of the other files was left out


def find_image_files(folder: Path) -> list[Path]:
    """List every image file below a folder, in a fixed order; hidden ones and links are left out."""
    files = (path for path in folder.rglob('*') if path.suffix.lower() in SUFFIXES and not path.is_symlink())
    return sorted(path for path in files if path.is_file() and not path.name.startswith('.'))


def sample_evenly(paths: Sequence[Path], most: int = MAX_IMAGES) -> list[Path]:
    """Take at most so many, spread over the whole row, so that every class keeps its share."""
    if len(paths) <= most:
        return list(paths)
    return [paths[place] for place in np.linspace(0, len(paths) - 1, most).round().astype(int)]


def compute_signature(reference: SourceModelSpec, paths: Sequence[Path]) -> Signature:
    """Average P2L's feature over these images. UnreadableImageError naming a file that is none;
    UnusableSourceError."""
    if not paths:
        raise UnusableSourceError('there is no image to sign it with')
    extract = _load_extractor(reference)
    batches = [
        extract([decode(path, reference.side) for path in paths[start : start + BATCH]])
        for start in range(0, len(paths), BATCH)
    ]
    return Signature(tuple(round_mean_feature(mean_feature(np.concatenate(batches)))), len(paths))


def compute_signature_resumably(
    reference: SourceModelSpec, paths: Sequence[Path], state_file: Path, on_progress: Callable[[int], None]
) -> Signature:
    """As `compute_signature`, for a job: skip what is no image, and resume from `state_file`, written after
    each batch.

    `on_progress` gets the number of files read so far. UnusableSourceError where none is an image, with the
    first one's reason.
    """
    total = _RunningTotal.read(state_file)
    extract = _load_extractor(reference)
    for start in range(total.files, len(paths), BATCH):
        on_progress(start)
        pixels = []
        for path in paths[start : start + BATCH]:
            try:
                pixels.append(decode(path, reference.side))
            except UnreadableImageError as error:
                total.skipped.append(error.message)
        total.add(extract(pixels) if pixels else None, min(start + BATCH, len(paths)))
        total.write(state_file)
    if total.features is None:
        raise UnusableSourceError(
            f'None of the {len(paths)} files is an image. {" ".join(total.skipped[:1])}'.strip()
        )
    mean = round_mean_feature(total.features / total.images)
    return Signature(tuple(mean), total.images, tuple(total.skipped))


@dataclass
class _RunningTotal:
    """The state of a computation that may be interrupted, kept as JSON."""

    files: int = 0  # read so far
    images: int = 0  # of them
    features: np.ndarray | None = None  # (d,) sum of the images' features
    skipped: list[str] = field(default_factory=list)

    def add(self, features: np.ndarray | None, files: int) -> None:
        self.files = files
        if features is not None:
            self.images += len(features)
            self.features = features.sum(0, dtype=np.float64) + (
                0 if self.features is None else self.features
            )

    def write(self, path: Path) -> None:
        features = None if self.features is None else self.features.tolist()
        write_json(
            path, {'files': self.files, 'images': self.images, 'features': features, 'skipped': self.skipped}
        )

    @staticmethod
    def read(path: Path) -> _RunningTotal:
        if not path.exists():
            return _RunningTotal()
        values = json.loads(path.read_text())
        features = None if values['features'] is None else np.array(values['features'])
        return _RunningTotal(values['files'], values['images'], features, values['skipped'])


def _load_extractor(reference: SourceModelSpec) -> Callable[[list[np.ndarray]], np.ndarray]:
    """A function from squares of pixels, (side, side, 3) uint8 each, to P2L's features (n, d).
    UnusableSourceError."""
    network, model = architecture(reference.architecture), load(reference)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (reference.mean, reference.std))

    # Not transfer.features.extract: the shipped signatures were computed in float32 on a CPU, image layout
    # included.
    @torch.inference_mode()
    def extract(pixels: list[np.ndarray]) -> np.ndarray:
        images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float().div(255)
        return network.features(model, (images - mean) / std).numpy()

    return extract
