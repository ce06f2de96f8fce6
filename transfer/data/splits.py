"""Assign images to folds: stratified, with near-duplicates in one fold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from transfer.data.manifests import Manifest
from transfer.spec.errors import TrainingError

TINY = 24  # images: below, leave-one-out costs little and every training keeps what it can


def assign_folds(
    labels: np.ndarray, groups: Sequence[str], folds: int, seed: int, tiny: int = TINY
) -> np.ndarray:
    """Assign every image to a fold: int (n,), 0 .. k - 1.

    Images of one group (near-duplicates: transfer.data.near_duplicates) share a fold. The groups of a class,
    the large ones first, go each to the fold that has the fewest images of it, so a class of two groups is
    still learned from in every fold. k is `folds`, or the number of groups where that is smaller or not above
    `tiny`.
    """
    sizes = count_group_labels(labels, groups)
    label_of = {
        group: max(counts, key=lambda label: (counts[label], -label)) for group, counts in sizes.items()
    }
    members = sorted(sizes, key=lambda group: (label_of[group], group))
    k = len(members) if len(members) <= tiny else min(folds, len(members))
    order = [members[place] for place in np.random.default_rng(seed).permutation(len(members))]
    filled = np.zeros((k, int(labels.max()) + 1), int)
    fold_of = {}
    # stable: shuffled within each class and size
    for group in sorted(order, key=lambda group: (label_of[group], -sum(sizes[group].values()))):
        own = label_of[group]
        fold = min(range(k), key=lambda fold: (filled[fold, own], filled[fold].sum()))
        fold_of[group] = fold
        for label, count in sizes[group].items():
            filled[fold, label] += count
    return np.array([fold_of[group] for group in groups])


def count_group_labels(labels: np.ndarray, groups: Sequence[str]) -> dict[str, Counter[int]]:
    """How many images of each label each group has."""
    sizes: dict[str, Counter[int]] = {}
    for label, group in zip(labels.tolist(), groups, strict=True):
        sizes.setdefault(group, Counter())[label] += 1
    return sizes


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
