"""Split boxed images into those that a detector is trained on and those that it is tested on. Numpy only."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np

from transfer.data.manifests import BoxedImage, DetectionManifest
from transfer.spec.errors import TrainingError

MIN_IMAGES = 4  # with boxes: three to train on and one to test on


def keep_trainable_box_labels(manifest: DetectionManifest) -> tuple[DetectionManifest, tuple[str, ...]]:
    """Drop the labels that cannot be both trained on and tested; also return a sentence for each one dropped.

    A class needs boxes, not all of them difficult, on two different images. TrainingError when there is none,
    or when fewer than four images have a box.
    """
    seen = [
        {image.digest for image in manifest.images if _shows(image, label)}
        for label in range(len(manifest.labels))
    ]
    kept = [label for label, images in enumerate(seen) if len(images) >= 2]
    if not kept or len(set().union(*(seen[label] for label in kept))) < MIN_IMAGES:
        raise TrainingError(f'A detector needs boxes of one class on at least {MIN_IMAGES} different images.')
    notes = tuple(
        f'Class "{manifest.labels[label]}" was left out: '
        f'it has boxes on {len(seen[label])} of the two images it needs.'
        for label in range(len(manifest.labels))
        if label not in kept
    )
    place = {label: index for index, label in enumerate(kept)}
    images = tuple(
        dataclasses.replace(
            image,
            boxes=tuple(
                dataclasses.replace(box, label=place[box.label]) for box in image.boxes if box.label in place
            ),
        )
        for image in manifest.images
    )
    return DetectionManifest(tuple(manifest.labels[label] for label in kept), images), notes


def split_manifest(
    manifest: DetectionManifest, held_out: float, seed: int
) -> tuple[DetectionManifest, DetectionManifest]:
    """Split into (training images, test images). Copies of an image (one digest) stay together; each class is
    on both sides.

    The same images, share and seed give the same split, in whatever order the images come.
    """
    groups = sorted({image.digest for image in manifest.images})
    order = [groups[place] for place in np.random.default_rng(seed).permutation(len(groups))]
    wanted = min(max(1, round(held_out * len(groups))), len(groups) - 1)
    held = set(order[:wanted])
    for label in range(len(manifest.labels)):
        _ensure_both_sides(held, [digest for digest in order if _has(manifest.images, digest, label)])
    parts = (
        tuple(image for image in manifest.images if image.digest not in held),
        tuple(image for image in manifest.images if image.digest in held),
    )
    train, test = (DetectionManifest(manifest.labels, part) for part in parts)
    return train, test


def _ensure_both_sides(held: set[str], showing: Sequence[str]) -> None:
    """Of the images that show a class, one must be on each side; where one side has none, it gets the first
    of the other."""
    if all(digest in held for digest in showing):
        held.discard(showing[0])
    elif not any(digest in held for digest in showing):
        held.add(showing[0])


def _has(images: Sequence[BoxedImage], digest: str, label: int) -> bool:
    return any(image.digest == digest and _shows(image, label) for image in images)


def _shows(image: BoxedImage, label: int) -> bool:
    return any(box.label == label and not box.difficult for box in image.boxes)
