"""What the starter zoo's data sets look like class by class, for the earth mover's distance (Cui et al., CVPR 2018).

    python -m transfer.zoo.signatures.class_means SOURCES [--reference NAME]

writes into STARTER/looks.safetensors, from the folders of transfer.zoo.build.train_starter: for each set the mean reference feature of its
classes (half precision) and how many images each has, under the reference's digest; those under other references stay. A source
of several sets looks like all of their classes together.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from p2l.signatures import ClassMeans
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.fetch import package
from transfer.zoo.signatures.compute import evenly, image_files, reference_called, sign
from transfer.zoo.weights import STARTER, read_starter_models

FILE = STARTER / 'looks.safetensors'
MOST_OF_A_CLASS = 60  # images behind a class's mean


def read_look(source: SourceModelSpec, reference: str, file: Path = FILE) -> ClassMeans | None:
    """Of a source of the starter zoo, under the reference of that digest; None for any other, whose classes nobody kept."""
    if Path(source.weights).parent != file.parent or not file.is_file():
        return None
    with safe_open(file, framework='np') as kept:
        names = set(kept.keys())
        sets = source.dataset.split('+')
        if not {f'{reference}/{name}/means' for name in sets} <= names:
            return None
        means = np.concatenate([kept.get_tensor(f'{reference}/{name}/means') for name in sets]).astype(
            np.float64
        )
        return ClassMeans(
            means,
            np.concatenate([kept.get_tensor(f'{reference}/{name}/images') for name in sets]).astype(
                np.float64
            ),
        )


def look_at(reference: SourceModelSpec, folder: Path) -> ClassMeans:
    """A set of class folders as the reference sees it."""
    classes = {path.name: image_files(path) for path in sorted(folder.iterdir()) if path.is_dir()}
    means = [sign(reference, evenly(paths, MOST_OF_A_CLASS)).mean for paths in classes.values()]
    return ClassMeans(np.array(means), np.array([len(paths) for paths in classes.values()], dtype=float))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('sources', type=Path)
    parser.add_argument('--reference', default=package.SOURCE)
    options = parser.parse_args()
    tensors = load_file(FILE) if FILE.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        reference = reference_called(options.reference, STARTER, Path(folder))
        for name in sorted({part for source in read_starter_models() for part in source.dataset.split('+')}):
            look = look_at(reference, options.sources / name)
            tensors[f'{reference.digest}/{name}/means'] = look.means.astype(np.float16)
            tensors[f'{reference.digest}/{name}/images'] = look.images.astype(np.int32)
    aside = FILE.with_suffix('.part')
    save_file(tensors, aside)
    aside.replace(FILE)


if __name__ == '__main__':
    main()
