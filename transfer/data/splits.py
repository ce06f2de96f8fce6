"""Assign images to folds: stratified, with copies of an image in one fold."""

from __future__ import annotations

import numpy as np

from transfer.data.manifests import Manifest
from transfer.spec.errors import TrainingError

TINY = 24  # images: below, leave-one-out costs little and every training keeps what it can


def assign_folds(
    labels: np.ndarray, groups: list[str], folds: int, seed: int, tiny: int = TINY
) -> np.ndarray:
    """Assign every image to a fold: int (n,), 0 .. k - 1.

    Images of one group (copies share a digest) share a fold; each class is dealt out evenly, so a class of
    two groups is still learned from in every fold. k is `folds`, or the number of groups where that is
    smaller or not above `tiny`.
    """
    first = {group: index for index, group in reversed(list(enumerate(groups)))}
    members = sorted(first, key=lambda group: (labels[first[group]], group))
    k = len(members) if len(members) <= tiny else min(folds, len(members))
    order = np.random.default_rng(seed).permutation(len(members))
    # stable: shuffled within each class
    by_class = sorted(order, key=lambda place: labels[first[members[place]]])
    fold_of = {members[place]: turn % k for turn, place in enumerate(by_class)}
    return np.array([fold_of[group] for group in groups])


def keep_trainable_labels(manifest: Manifest) -> tuple[Manifest, tuple[str, ...]]:
    """Drop the labels that cannot be both trained on and validated; also return a sentence for each one
    dropped.

    A class needs two different images. Raises TrainingError when fewer than two classes are left.
    """
    distinct = [
        len({image.digest for image in manifest.images if image.label == label})
        for label in range(len(manifest.labels))
    ]
    kept = [label for label, count in enumerate(distinct) if count >= 2]
    if len(kept) < 2:
        raise TrainingError('A training needs at least two classes with two different images each.')
    notes = tuple(
        f'Class "{manifest.labels[label]}" was left out: '
        f'it has {distinct[label]} of the two different images it needs.'
        for label in range(len(manifest.labels))
        if label not in kept
    )
    position = {label: place for place, label in enumerate(kept)}
    images = tuple(
        type(image)(image.path, position[image.label], image.digest, image.name, image.id)
        for image in manifest.images
        if image.label in position
    )
    return Manifest(tuple(manifest.labels[label] for label in kept), images), notes
