"""Split boxed images into those that a detector is trained on and those that it is tested on. Numpy only."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping, Sequence

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
    manifest: DetectionManifest, held_out: float, seed: int, groups: Sequence[str] | None = None
) -> tuple[DetectionManifest, DetectionManifest]:
    """Split into (training images, test images). Each class is on both sides.

    `groups`: of each image, in the manifest's order (None: its digest). Images of one group stay together,
    except where all images of a class are of one group: then its copies of one digest do.

    The same images, groups, share and seed give the same split, in whatever order the images come.
    """
    key = dict(zip((image.digest for image in manifest.images), groups or (), strict=False))
    for label in range(len(manifest.labels)):
        _break_up(key, {image.digest for image in manifest.images if _shows(image, label)})
    own = [key.get(image.digest, image.digest) for image in manifest.images]
    sizes = Counter(own)
    names = sorted(sizes)
    order = [names[place] for place in np.random.default_rng(seed).permutation(len(names))]
    held = _take(order, sizes, held_out)
    for label in range(len(manifest.labels)):
        showing = {group for group, image in zip(own, manifest.images, strict=True) if _shows(image, label)}
        _ensure_both_sides(held, [group for group in order if group in showing], sizes)
    rows = list(zip(own, manifest.images, strict=True))
    parts = (
        tuple(image for group, image in rows if group not in held),
        tuple(image for group, image in rows if group in held),
    )
    train, test = (DetectionManifest(manifest.labels, part) for part in parts)
    return train, test


def _break_up(key: dict[str, str], digests: set[str]) -> None:
    """Let these images stand alone if they are all of one group."""
    if key and len({key[digest] for digest in digests}) == 1:
        key.update({digest: digest for digest in digests})


def _take(order: Sequence[str], sizes: Mapping[str, int], share: float) -> set[str]:
    """Groups from the front of the order with at most that share of all images; at least one."""
    count = sum(sizes.values())
    wanted = min(max(1, round(share * count)), count - 1)
    held: set[str] = set()
    for group in order:
        if sum(sizes[each] for each in held) + sizes[group] <= wanted:
            held.add(group)
    return held or {min(order, key=lambda group: sizes[group])}


def _ensure_both_sides(held: set[str], showing: Sequence[str], sizes: Mapping[str, int]) -> None:
    """Of the groups that show a class, one must be on each side; where one side has none, it gets the
    smallest of the other."""
    if all(group in held for group in showing):
        held.discard(min(showing, key=lambda group: sizes[group]))
    elif not any(group in held for group in showing):
        held.add(min(showing, key=lambda group: sizes[group]))


def _shows(image: BoxedImage, label: int) -> bool:
    return any(box.label == label and not box.difficult for box in image.boxes)
