"""Small images for tests that upload, decode or train on them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image as Picture

# The development images and weights beside the repository; most machines have none.
SHARED = Path(__file__).resolve().parents[3] / 'shared' / 'data'


def draw_photo(
    seed: int = 0, side: int = 48, tint: tuple[int, int, int] = (120, 120, 120), format: str = 'JPEG'
) -> bytes:
    """A small noisy image around a tint, different for every seed."""
    noise = np.random.default_rng(seed).integers(-40, 40, (side, side, 3))
    pixels = np.clip(np.array(tint) + noise, 0, 255).astype(np.uint8)
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, format)
    return buffer.getvalue()
