"""Photos with a red square and a blue bar, boxed, with proposals around them: for tests of single
detectors."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
from PIL import Image

from transfer.data.manifests import BoxedImage, LabelledBox

LABELS = ('square', 'bar')
WIDTH, HEIGHT = 120, 80  # pixels

# An image without a file, for what needs no pixels.
TWO_OBJECTS = BoxedImage(
    '',
    100,
    80,
    (
        LabelledBox(10, 10, 50, 50, 0),
        LabelledBox(60, 20, 90, 70, 1),
        LabelledBox(0, 60, 20, 80, 1, difficult=True),
    ),
    'digest',
    'two objects and a difficult one',
)


def draw_objects(path: Path, seed: int) -> BoxedImage:
    """Write a photo of both objects on a noisy ground."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(80, 130, (HEIGHT, WIDTH, 3)).astype(np.uint8)
    boxes = []
    for place, label in enumerate(rng.permutation(2)):
        width, height = ((28, 28), (16, 44))[label]
        x, y = int(rng.integers(2, 28)) + 60 * place, int(rng.integers(2, HEIGHT - height))
        pixels[y : y + height, x : x + width] = ((220, 40, 40), (40, 60, 220))[label]
        boxes.append(LabelledBox(x, y, x + width, y + height, int(label)))
    Image.fromarray(pixels).save(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return BoxedImage(str(path), WIDTH, HEIGHT, tuple(boxes), digest, path.name)


def propose_around(image: BoxedImage, seed: int, near: int = 15, anywhere: int = 60) -> np.ndarray:
    """Proposals: so many near each object, and so many anywhere."""
    rng = np.random.default_rng(seed)
    truth = np.array([(box.x0, box.y0, box.x1, box.y1) for box in image.boxes], float)
    close = np.repeat(truth, near, 0) + rng.normal(0, 4, (len(truth) * near, 4))
    corners = rng.uniform(0, 60, (anywhere, 2))
    return np.concatenate([close, np.hstack([corners, corners + rng.uniform(8, 50, (anywhere, 2))])])


def scatter_boxes(seed: int, count: int = 300) -> np.ndarray:
    """Boxes of 5 to 40 pixels anywhere on 100 x 100."""
    rng = np.random.default_rng(seed)
    corners = rng.uniform(0, 60, (count, 2))
    return np.hstack([corners, corners + rng.uniform(5, 40, (count, 2))])
