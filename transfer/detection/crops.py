"""Crops of the labelled boxes and of background, on which sources are compared before a detector is
trained."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from transfer.data.decode import decode_image
from transfer.data.manifests import BACKGROUND, BoxedImage, DetectionManifest, LabelledImage, Manifest
from transfer.regions.boxes import iou

MOST = 60  # crops of a class: the probe's ranking hardly changes with more, its time does
CONTEXT = 0.1  # of a box's sides, around it
LEAST_SIDE = 600
APART = 0.1  # largest IoU of a background region with a box
FEWEST_SIDE = 8.0  # pixels: less shows nothing


def cut_crops(
    manifest: DetectionManifest,
    proposals: Sequence[np.ndarray],
    folder: Path,
    seed: int,
    on_progress: Callable[[float], None],
) -> Manifest:
    """Up to 60 boxes of each class and as many regions without any, as images in `folder`, labelled.

    Background is a class of its own, so that a set of one class still says which source tells it from the
    rest.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    wanted = [
        *_choose_objects(manifest, rng),
        *_choose_background(manifest, proposals, len(manifest.labels), rng),
    ]
    cuts = []
    for number, (image, box, label) in enumerate(
        sorted(wanted, key=lambda cut: (cut[0].digest, cut[2], tuple(cut[1])))
    ):
        cuts.append(_cut_crop(image, box, label, folder))
        on_progress((number + 1) / len(wanted))
    labels = (*manifest.labels, BACKGROUND)
    return Manifest(labels, tuple({cut.digest: cut for cut in cuts}.values()))


Cut = tuple[BoxedImage, np.ndarray, int]


def _choose_objects(manifest: DetectionManifest, rng: np.random.Generator) -> list[Cut]:
    found: list[Cut] = []
    for label in range(len(manifest.labels)):
        mine = [
            (image, np.array([box.x0, box.y0, box.x1, box.y1]), label)
            for image in manifest.images
            for box in image.boxes
            if box.label == label and not box.difficult
        ]
        found += [mine[place] for place in np.sort(rng.permutation(len(mine))[:MOST])]
    return found


def _choose_background(
    manifest: DetectionManifest, proposals: Sequence[np.ndarray], label: int, rng: np.random.Generator
) -> list[Cut]:
    found: list[Cut] = []
    a_photo = max(1, -(-MOST // len(manifest.images)))
    for image, regions in zip(manifest.images, proposals, strict=True):
        truth = np.array([(box.x0, box.y0, box.x1, box.y1) for box in image.boxes], float).reshape(-1, 4)
        free = regions[iou(regions.astype(float), truth).max(1, initial=0.0) <= APART]
        found += [(image, box.astype(float), label) for box in free[rng.permutation(len(free))[:a_photo]]]
    return [found[place] for place in np.sort(rng.permutation(len(found))[:MOST])]


def _cut_crop(image: BoxedImage, box: np.ndarray, label: int, folder: Path) -> LabelledImage:
    name = hashlib.sha256(repr((image.digest, box.tolist(), CONTEXT)).encode()).hexdigest()
    path = folder / f'{name[:40]}.png'
    photo = decode_image(image.path, LEAST_SIDE)
    height, width, _ = photo.pixels.shape
    sides = np.maximum(box[2:] - box[:2], FEWEST_SIDE)
    middle, half = (box[:2] + box[2:]) / 2, sides * (0.5 + CONTEXT)
    scale = np.array([width / photo.width, height / photo.height])
    low = np.floor(np.clip((middle - half) * scale, 0, (width - 1, height - 1))).astype(int)
    high = np.ceil(np.clip((middle + half) * scale, low + 1, (width, height))).astype(int)
    Picture.fromarray(photo.pixels[low[1] : high[1], low[0] : high[0]]).save(path)
    return LabelledImage(str(path), label, name, image.name, image.id, photo=image.digest)
