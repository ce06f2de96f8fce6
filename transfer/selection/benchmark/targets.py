"""The targets of a benchmark: folders of classes, split into training images and held-out images."""

from __future__ import annotations

import hashlib
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from transfer.data.manifests import LabelledImage, Manifest
from transfer.spec.errors import TrainingError
from transfer.zoo.signatures.compute import find_image_files

TRAIN_SHARE = 2 / 3  # of a class, at most: a small class keeps a third to be tested on
LEAST_IMAGES = 6  # of a class


@dataclass(frozen=True)
class BenchmarkTarget:
    """One labelled set, whole."""

    name: str
    manifest: Manifest


@dataclass(frozen=True)
class HeldOutSplit:
    """Rows of a target's manifest, int, in ascending order."""

    train: np.ndarray
    test: np.ndarray


def read_targets(folder: Path) -> tuple[BenchmarkTarget, ...]:
    """Every folder of class folders in `folder`, by name. TrainingError names a folder that is no target."""
    found = (
        sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith('.'))
        if folder.is_dir()
        else []
    )
    if not found:
        raise TrainingError(f'{folder} holds no folder of class folders.')
    return tuple(BenchmarkTarget(path.name, _read_target(path)) for path in found)


def _read_target(folder: Path) -> Manifest:
    """Read a target without copies of an image, and without images that are in two classes."""
    classes = sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith('.'))
    if len(classes) < 2:
        raise TrainingError(
            f'{folder} is no target: it needs a folder of images for each of two or more classes.'
        )
    homes: dict[str, set[int]] = defaultdict(set)
    images: dict[str, LabelledImage] = {}
    for label, path in enumerate(classes):
        for file in find_image_files(path):
            digest = hashlib.sha256(file.read_bytes()).hexdigest()
            homes[digest].add(label)
            images.setdefault(digest, LabelledImage(str(file), label, digest, file.name))
    kept = tuple(image for digest, image in images.items() if len(homes[digest]) == 1)
    for label, path in enumerate(classes):
        count = sum(1 for image in kept if image.label == label)
        if count < LEAST_IMAGES:
            raise TrainingError(f'{path} holds {count} different images; a class needs {LEAST_IMAGES}.')
    return Manifest(tuple(path.name for path in classes), kept)


def split_target(manifest: Manifest, per_class: int, seed: int) -> HeldOutSplit:
    """Draw so many training images of each class (at most TRAIN_SHARE of it); all others are held out."""
    generator = np.random.default_rng(seed)
    labels = np.array([image.label for image in manifest.images])
    train: list[int] = []
    for label in range(len(manifest.labels)):
        rows = generator.permutation(np.flatnonzero(labels == label))
        train += rows[: min(per_class, int(len(rows) * TRAIN_SHARE))].tolist()
    mask = np.zeros(len(labels), dtype=bool)
    mask[train] = True
    return HeldOutSplit(np.flatnonzero(mask), np.flatnonzero(~mask))


def take_rows(manifest: Manifest, rows: np.ndarray) -> Manifest:
    return Manifest(manifest.labels, tuple(manifest.images[row] for row in rows))
