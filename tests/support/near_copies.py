"""Drawn photos that differ as real ones do, and copies of them as programs and people make them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Picture
from PIL import ImageEnhance

from transfer.data.manifests import LabelledImage

SIDE = 96


def draw_scene(seed: int) -> Picture.Image:
    """Blotches of colour in several sizes, different for every seed."""
    generator = np.random.default_rng(seed)
    scene = np.zeros((SIDE, SIDE, 3))
    for cells, strength in ((4, 90), (8, 60), (16, 40)):
        coarse = Picture.fromarray(generator.integers(0, 255, (cells, cells, 3)).astype(np.uint8))
        scene += strength * (np.asarray(coarse.resize((SIDE, SIDE), Picture.Resampling.BICUBIC)) / 255 - 0.5)
    return Picture.fromarray((scene + 128).clip(0, 255).astype(np.uint8))


def save_again(photo: Picture.Image, quality: int = 70) -> Picture.Image:
    buffer = io.BytesIO()
    photo.save(buffer, 'JPEG', quality=quality)
    return Picture.open(io.BytesIO(buffer.getvalue())).convert('RGB')


def crop(photo: Picture.Image, share: float = 0.05) -> Picture.Image:
    """Without that share of each side."""
    margin = round(share * SIDE)
    return save_again(photo.crop((margin, margin, SIDE - margin, SIDE - margin)))


def mirror(photo: Picture.Image) -> Picture.Image:
    return save_again(photo.transpose(Picture.Transpose.FLIP_LEFT_RIGHT))


def turn(photo: Picture.Image, degrees: float = 9) -> Picture.Image:
    """Black corners come in, as augmented exports have them."""
    return save_again(photo.rotate(degrees, Picture.Resampling.BICUBIC))


def brighten(photo: Picture.Image, factor: float = 1.25) -> Picture.Image:
    return save_again(ImageEnhance.Brightness(photo).enhance(factor))


def stack(photos: Sequence[Picture.Image], side: int = SIDE) -> np.ndarray:
    """As the pixel cache holds them: uint8 (n, side, side, 3)."""
    return np.stack([np.asarray(photo.resize((side, side), Picture.Resampling.BILINEAR)) for photo in photos])


def write(photo: Picture.Image, path: Path, label: int) -> LabelledImage:
    photo.save(path, 'PNG')
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return LabelledImage(str(path), label, digest, path.name, f'row {path.stem}')
