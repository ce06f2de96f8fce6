"""Decode an encoded image to the square of pixels that a network sees: the one preprocessing of training and
serving.

No torch here. A JPEG is decoded at the smallest of its built-in scales (n/8) that still has 1.6 times the
square's side, which costs a sixth of a full decode on a 12-megapixel photo; the rest of the way is one
antialiased bilinear resize.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import simplejpeg
from PIL import Image, ImageOps, UnidentifiedImageError

from transfer.spec.errors import UnreadableImageError

FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP')
MAX_PIXELS = 100_000_000  # of the header: a bomb is refused before it is decoded
CENTRE = 0.875  # share of the short side that `centre` keeps: torchvision's 224 of 256
# How much finer than the square a JPEG is decoded. A 12-megapixel photo then comes at 1/8 for 224 pixels and
# differs from a full decode by 0.25 of 255 in the mean (at 2: by 0.14, for 28 % more time).
SPARE = 1.6
POLICIES = ('squash', 'centre')
EXIF_ORIENTATION = 0x0112


def decode(source: bytes | str | Path, side: int, policy: str = 'squash') -> np.ndarray:
    """Decode the image, upright, to uint8 RGB (side, side, 3).

    `squash` resizes the whole picture to the square; `centre` keeps its centred square of 0.875 of the short
    side. Raises UnreadableImageError, naming the file where there is one.
    """
    if policy not in POLICIES:
        raise ValueError(f'resize policy {policy!r} is not one of {POLICIES}')
    name = 'the image' if isinstance(source, bytes) else Path(source).name
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        image = _open(data, side, policy)
        return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR, box=_box(image, policy)))
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UnreadableImageError(f'{name} cannot be read as an image: {error}') from error


@dataclass(frozen=True)
class UprightImage:
    """A whole image, turned upright."""

    pixels: np.ndarray  # (h, w, 3) uint8 RGB, perhaps at a reduced scale
    width: int  # of the image itself, in whose pixels boxes are given
    height: int


def decode_image(source: bytes | str | Path, least: int = 0) -> UprightImage:
    """Decode the whole image for a detector; a JPEG may come reduced, with neither side under `least` pixels
    (0: never reduced).

    Raises UnreadableImageError, naming the file where there is one.
    """
    name = 'the image' if isinstance(source, bytes) else Path(source).name
    try:
        data = source if isinstance(source, bytes) else Path(source).read_bytes()
        header = Image.open(io.BytesIO(data), formats=FORMATS)
        width, height = header.size
        if header.getexif().get(EXIF_ORIENTATION, 1) in range(5, 9):  # turned by a quarter
            width, height = height, width
        image = _open(data, math.ceil(least / SPARE) if least else MAX_PIXELS, 'squash')
        return UprightImage(np.array(image), width, height)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise UnreadableImageError(f'{name} cannot be read as an image: {error}') from error


def _open(data: bytes, side: int, policy: str) -> Image.Image:
    if data[:3] == b'\xff\xd8\xff' and (image := _open_jpeg(data, side, policy)) is not None:
        return image
    image = Image.open(io.BytesIO(data), formats=FORMATS)
    _refuse_bomb(*image.size)
    need = _find_least_side(*image.size, side, policy)
    image.draft('RGB', (need, need))  # does nothing unless it is a JPEG
    upright = ImageOps.exif_transpose(image)
    if 'A' in upright.getbands() or 'transparency' in upright.info:
        upright = upright.convert('RGBA')
        ground = Image.new('RGBA', upright.size, 'white')
        return Image.alpha_composite(ground, upright).convert('RGB')
    if upright.mode.startswith('I'):  # 16 bits: Pillow's own conversion clips instead of scaling
        return Image.fromarray(
            (np.asarray(upright).astype(np.uint32) >> 8).clip(0, 255).astype(np.uint8)
        ).convert('RGB')
    return upright.convert('RGB')


def _open_jpeg(data: bytes, side: int, policy: str) -> Image.Image | None:
    """The fast way for sound gray and colour JPEGs; None for the rest, over which Pillow decides."""
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    except (ValueError, KeyError):  # KeyError: how this library meets a header that breaks off
        return None
    _refuse_bomb(width, height)
    if space not in ('YCbCr', 'Gray', 'RGB'):
        return None
    need = _find_least_side(width, height, side, policy)
    try:
        image = Image.fromarray(simplejpeg.decode_jpeg(data, 'RGB', min_height=need, min_width=need))
    except ValueError:
        return None
    return _turn(image, data) if b'Exif\x00\x00' in data[:65_536] else image


def _turn(image: Image.Image, data: bytes) -> Image.Image:
    image.getexif()[EXIF_ORIENTATION] = Image.open(io.BytesIO(data)).getexif().get(EXIF_ORIENTATION, 1)
    return ImageOps.exif_transpose(image)


def _refuse_bomb(width: int, height: int) -> None:
    if width * height > MAX_PIXELS:
        raise ValueError(f'{width} x {height} pixels are more than {MAX_PIXELS:,}')


def _find_least_side(width: int, height: int, side: int, policy: str) -> int:
    """The least width and height to decode."""
    return min(round(SPARE * side / (CENTRE if policy == 'centre' else 1)), width, height)


def _box(image: Image.Image, policy: str) -> tuple[float, float, float, float]:
    width, height = image.size
    if policy == 'squash':
        return (0, 0, width, height)
    half = min(width, height) * CENTRE / 2
    return (width / 2 - half, height / 2 - half, width / 2 + half, height / 2 + half)
