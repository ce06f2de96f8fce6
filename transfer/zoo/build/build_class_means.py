"""Compute the class means of the starter zoo's data sets, for the earth mover's distance.

    python -m transfer.zoo.build.build_class_means SOURCES [--reference NAME]

writes into STARTER/class_means.safetensors, from the folders of transfer.zoo.build.train_starter: for each
set the mean reference feature of its classes (half precision) and how many images each has, under the
reference's digest; those under other references stay.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file

from p2l.signatures import ClassMeans
from transfer.runtime.atomic_write import replace_file
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.build.sign_starter import load_reference
from transfer.zoo.fetch import package
from transfer.zoo.signatures.class_means import FILE
from transfer.zoo.signatures.compute import compute_signature, find_image_files, sample_evenly
from transfer.zoo.weights import STARTER, read_starter_models

IMAGES_PER_CLASS = 60  # at most, behind a class's mean


def compute_folder_means(reference: SourceModelSpec, folder: Path) -> ClassMeans:
    """The class means of a folder of class folders."""
    classes = [find_image_files(path) for path in sorted(folder.iterdir()) if path.is_dir()]
    means = [compute_signature(reference, sample_evenly(paths, IMAGES_PER_CLASS)).mean for paths in classes]
    return ClassMeans(np.array(means), np.array([len(paths) for paths in classes], dtype=float))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('sources', type=Path)
    parser.add_argument('--reference', default=package.REFERENCE)
    options = parser.parse_args()
    tensors = load_file(FILE) if FILE.exists() else {}
    with tempfile.TemporaryDirectory() as folder:
        reference = load_reference(options.reference, STARTER, Path(folder))
        for name in sorted(
            {part for starter in read_starter_models() for part in starter.dataset.split('+')}
        ):
            class_means = compute_folder_means(reference, options.sources / name)
            tensors[f'{reference.digest}/{name}/means'] = class_means.means.astype(np.float16)
            tensors[f'{reference.digest}/{name}/images'] = class_means.images.astype(np.int32)
    with replace_file(FILE) as aside:
        save_file(tensors, aside)


if __name__ == '__main__':
    main()
