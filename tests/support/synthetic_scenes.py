"""Photos with bright squares and dark discs on noise, boxed, and a small convolutional source: for detectors
in tests."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import torch
from PIL import Image as Picture
from safetensors.torch import save_file

from transfer.data.manifests import BoxedImage, DetectionManifest, LabelledBox
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.registry import architecture
from transfer.zoo.weights import file_digest

LABELS = ('disc', 'square')
SIZE = (120, 96)  # pixels


def write_scenes(folder: Path, count: int = 12, empty: int = 1) -> DetectionManifest:
    """One to three things on each photo; the last `empty` have nothing on them."""
    folder.mkdir(parents=True, exist_ok=True)
    images = [
        write_scene(folder, number, things=0 if number >= count - empty else 1 + number % 3)
        for number in range(count)
    ]
    return DetectionManifest(LABELS, tuple(images))


def write_scene(folder: Path, number: int, things: int) -> BoxedImage:
    rng = np.random.default_rng(number)
    width, height = SIZE
    pixels = rng.integers(90, 130, (height, width, 3))
    rows, columns = np.mgrid[:height, :width]
    boxes = []
    for place in range(things):
        side, label = int(rng.integers(24, 34)), int(rng.integers(0, 2))
        x, y = 3 + 39 * place, int(rng.integers(4, height - side - 4))
        inside = (columns >= x) & (columns < x + side) & (rows >= y) & (rows < y + side)
        if label == 0:
            inside &= (columns - x - side / 2) ** 2 + (rows - y - side / 2) ** 2 <= (side / 2) ** 2
        pixels[inside] = (235, 225, 60) if label else (20, 40, 160)
        boxes.append(LabelledBox(x, y, x + side, y + side, label))
    path = folder / f'scene-{number:02}.png'
    Picture.fromarray(pixels.astype(np.uint8)).save(path)
    return BoxedImage(
        str(path),
        width,
        height,
        tuple(boxes),
        hashlib.sha256(path.read_bytes()).hexdigest(),
        path.name,
        f'row {number}',
    )


def source(
    folder: Path, name: str = 'squeeze', network: str = 'squeezenet1_1', side: int = 64
) -> SourceModelSpec:
    """Random weights: colours and edges of drawn scenes are told apart by those as well."""
    folder.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(3)
    path = folder / f'{name}.safetensors'
    save_file(architecture(network).build(5).state_dict(), path)
    return SourceModelSpec(name, network, str(path), file_digest(path), 5, 1000, side, dataset=name)
