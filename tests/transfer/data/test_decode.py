"""Bytes become the square a network sees: one function for training and serving."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tests.support.photos import draw_photo
from transfer.data.decode import decode
from transfer.spec.errors import UnreadableImageError


def gradient(width: int, height: int) -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], -1).astype(np.uint8))


def encode(image: Image.Image, format: str = 'JPEG', **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def full_decode(data: bytes, side: int) -> np.ndarray:
    """The slow twin: the whole picture by Pillow, then one resize."""
    image = Image.open(io.BytesIO(data)).convert('RGB')
    return np.asarray(image.resize((side, side), Image.Resampling.BILINEAR))


def difference(a: np.ndarray, b: np.ndarray) -> float:
    return float(np.abs(a.astype(float) - b).mean())


@pytest.mark.parametrize('size', [(1600, 1200), (640, 480), (300, 900), (90, 70), (7, 5)])
def test_a_reduced_decode_looks_like_a_full_one(size):
    data = encode(gradient(*size), quality=92)
    assert difference(decode(data, 128), full_decode(data, 128)) < 1.0


@pytest.mark.parametrize('orientation', range(1, 9))
def test_the_camera_orientation_is_applied(orientation):
    from PIL import ImageOps

    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(gradient(400, 300), exif=exif, quality=95)
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    expected = np.asarray(upright.resize((64, 64), Image.Resampling.BILINEAR))
    assert difference(decode(data, 64), expected) < 1.5


@pytest.mark.parametrize(
    ('mode', 'format'),
    [
        ('L', 'JPEG'),
        ('CMYK', 'JPEG'),
        ('P', 'GIF'),
        ('RGB', 'WEBP'),
        ('RGB', 'BMP'),
        ('1', 'PNG'),
        ('L', 'PNG'),
    ],
)
def test_every_mode_becomes_three_channels(mode, format):
    pixels = decode(encode(gradient(60, 40).convert(mode), format), 32)
    assert pixels.shape == (32, 32, 3)
    assert pixels.dtype == np.uint8
    assert pixels.std() > 10


def test_sixteen_bits_keep_their_brightness():
    ramp = np.linspace(0, 65535, 64 * 64).reshape(64, 64).astype(np.uint16)
    pixels = decode(encode(Image.fromarray(ramp), 'PNG'), 64)
    assert difference(pixels[..., 0], ramp >> 8) < 1.0


def test_transparency_becomes_white():
    pixels = decode(encode(Image.new('RGBA', (20, 20), (255, 0, 0, 0)), 'PNG'), 16)
    assert pixels.min() == 255


def test_centre_keeps_the_middle_and_squash_the_whole():
    image = Image.new('RGB', (300, 100), 'black')
    image.paste('white', (110, 10, 190, 90))
    data = encode(image, 'PNG')
    assert decode(data, 32, 'centre').mean() > 200
    assert decode(data, 32, 'squash').mean() < 80


def test_a_path_and_its_bytes_give_the_same_pixels(tmp_path):
    path = tmp_path / 'photo.jpg'
    path.write_bytes(draw_photo(3))
    assert np.array_equal(decode(path, 40), decode(path.read_bytes(), 40))


@pytest.mark.parametrize(
    'data', [b'', b'abc', b'\xff\xd8\xff' + b'a' * 50, draw_photo()[:300], draw_photo()[:900]]
)
def test_what_is_not_a_whole_image_is_refused_by_name(tmp_path, data):
    path = tmp_path / 'broken.jpg'
    path.write_bytes(data)
    with pytest.raises(UnreadableImageError, match=r'broken\.jpg cannot be read'):
        decode(path, 32)


def test_a_bomb_is_refused_from_its_header():
    data = encode(Image.new('L', (12_000, 9_000)), 'PNG')
    with pytest.raises(UnreadableImageError, match='12000 x 9000'):
        decode(data, 32)


def test_an_unknown_policy_is_a_mistake_of_the_caller():
    with pytest.raises(ValueError, match='stretch'):
        decode(draw_photo(), 32, 'stretch')
