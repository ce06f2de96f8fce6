"""Decode bytes to an upright RGB image: the one way in, for uploads and for predictions.

Only the bytes are trusted: neither the file's name nor the type that a client claims. The size is limited
from the header, before any pixel is decoded; only the decoders of FORMATS are tried.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from django.conf import settings
from PIL import Image as PillowImage

from recognition.errors import InvalidImageError, TooLargeError

FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP')  # of animated images the first frame
MIN_SIDE = 8  # pixels; smaller images hold nothing to recognise
MAX_SIDE = 30_000  # pixels; libjpeg writes at most 65,500
MAX_ASPECT_RATIO = 50  # long side : short side; every network squashes the image to a square
EXIF_ORIENTATION = 0x0112  # the EXIF tag
TRANSPOSITIONS = {
    2: PillowImage.Transpose.FLIP_LEFT_RIGHT,
    3: PillowImage.Transpose.ROTATE_180,
    4: PillowImage.Transpose.FLIP_TOP_BOTTOM,
    5: PillowImage.Transpose.TRANSPOSE,
    6: PillowImage.Transpose.ROTATE_270,
    7: PillowImage.Transpose.TRANSVERSE,
    8: PillowImage.Transpose.ROTATE_90,
}
MAX_PROFILE_BYTES = 64 * 2**10  # of a colour profile; the usual ones have 0.5 to 4 KB
# One decoded image of 89 million pixels takes 270 MB: large ones are decoded one at a time.
LARGE_PIXELS = 24_000_000  # pixels
_large_image_lock = threading.Lock()


@dataclass(frozen=True)
class ImageHeader:
    """The header of an image that may be decoded."""

    format: str  # one of FORMATS, as the decoder found it
    width: int  # pixels, upright
    height: int
    mode: str  # Pillow's, before conversion
    orientation: int  # EXIF, 1 to 8


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image. `rgb` is upright, and smaller than width x height when a smaller one was asked for."""

    rgb: PillowImage.Image
    header: ImageHeader
    profile: bytes | None = None  # ICC, of a reasonable size

    @property
    def width(self) -> int:
        return self.header.width

    @property
    def height(self) -> int:
        return self.header.height


def read_header(data: bytes) -> ImageHeader:
    """Check an image by its header alone. Errors: TooLargeError (bytes), InvalidImageError (everything
    else)."""
    with _open(data) as (_, header):
        return header


def decode_image(data: bytes, side: int | None = None) -> DecodedImage:
    """Decode to an upright RGB image; transparency lies over white.

    side: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long as both sides stay >= `side` pixels (6
    times faster on photos of a phone). Errors: TooLargeError, InvalidImageError; no other.
    """
    with _open(data) as (image, header):
        if side is not None:
            image.draft('RGB', (side, side))
        with _large_image_lock if image.width * image.height > LARGE_PIXELS else nullcontext():
            try:
                image.load()
                rgb = _convert_to_rgb(image)
                if header.orientation in TRANSPOSITIONS:
                    rgb = rgb.transpose(TRANSPOSITIONS[header.orientation])
                profile = _read_profile(image)
                rgb.info.clear()  # encoders would write comments and the like from here
            except Exception as error:  # on hostile bytes decoders raise errors of every class
                raise InvalidImageError(f'is damaged or cut short ({header.format})') from error
        return DecodedImage(rgb, header, profile)


@contextmanager
def _open(data: bytes) -> Iterator[tuple[PillowImage.Image, ImageHeader]]:
    if not data:
        raise InvalidImageError('is empty')
    if len(data) > settings.MAX_IMAGE_BYTES:
        raise TooLargeError(f'is larger than {settings.MAX_IMAGE_BYTES // 2**20} MB')
    try:
        image = PillowImage.open(io.BytesIO(data), formats=FORMATS)
    except PillowImage.DecompressionBombError as error:
        raise InvalidImageError(_describe_too_many_pixels()) from error
    except PillowImage.UnidentifiedImageError as error:
        raise InvalidImageError(
            f'is not a JPEG, PNG, WebP, GIF or BMP image{_guess_other_kind(data)}'
        ) from error
    except Exception as error:  # a damaged header: struct.error, ValueError, OverflowError, zlib.error ...
        raise InvalidImageError('has a damaged header') from error
    with image:
        yield image, _make_header(image)


def _make_header(image: PillowImage.Image) -> ImageHeader:
    width, height = image.size
    if width * height > settings.MAX_IMAGE_PIXELS:
        raise InvalidImageError(_describe_too_many_pixels(width, height))
    short, long = sorted((width, height))
    if short < MIN_SIDE:
        raise InvalidImageError(
            f'is {width} x {height} pixels: the shorter side must have at least {MIN_SIDE}'
        )
    if long > MAX_SIDE or long > MAX_ASPECT_RATIO * short:
        raise InvalidImageError(f'is {width} x {height} pixels: too long and thin to be recognised')
    orientation = _read_orientation(image)
    if orientation >= 5:
        width, height = height, width
    # Phones write JPEGs that hold several images; Pillow calls them MPO and opens the first.
    return ImageHeader(
        'JPEG' if image.format == 'MPO' else str(image.format), width, height, image.mode, orientation
    )


def _read_orientation(image: PillowImage.Image) -> int:
    """1 to 8. EXIF that cannot be read says nothing about the image: it counts as decoded."""
    try:
        value = image.getexif().get(EXIF_ORIENTATION, 1)
    except Exception:  # the EXIF reader raises errors of every class on damaged tags
        return 1
    return value if isinstance(value, int) and value in TRANSPOSITIONS else 1


def _convert_to_rgb(image: PillowImage.Image) -> PillowImage.Image:
    if image.mode == 'RGB' and 'transparency' not in image.info:
        return image.copy()
    if image.mode.startswith('I') or image.mode == 'F':
        # Converting 16-bit grey directly would clip at 255 instead of scaling.
        return image.convert('I').point(lambda value: value * (1 / 257) + 0.5).convert('L').convert('RGB')
    if image.mode in ('RGBA', 'LA', 'PA', 'RGBa', 'La') or 'transparency' in image.info:
        rgba = image.convert('RGBA')
        background = PillowImage.new('RGBA', rgba.size, 'white')
        background.alpha_composite(rgba)
        return background.convert('RGB')
    return image.convert('RGB')


def _read_profile(image: PillowImage.Image) -> bytes | None:
    """The colour profile of an RGB image; a grey or CMYK one does not fit the converted image."""
    profile = image.info.get('icc_profile') if image.mode.startswith('RGB') else None
    return profile if isinstance(profile, bytes) and 0 < len(profile) <= MAX_PROFILE_BYTES else None


def _describe_too_many_pixels(width: int = 0, height: int = 0) -> str:
    size = f'is {width:,} x {height:,} pixels' if width else 'has too many pixels'
    return f'{size}: at most {settings.MAX_IMAGE_PIXELS // 10**6} million are allowed'


def _guess_other_kind(data: bytes) -> str:
    """Guess what a file of another kind is, for the error message only."""
    start = data[:64].lstrip().lower()
    kinds = (
        (data[4:12] in (b'ftypheic', b'ftypheix', b'ftypmif1'), 'HEIC: export it as JPEG'),
        (data[4:12] == b'ftypavif', 'AVIF: export it as JPEG'),
        (data[:4] in (b'II*\0', b'MM\0*'), 'TIFF: export it as PNG'),
        (start.startswith((b'<svg', b'<?xml')), 'SVG: drawings are not supported'),
        (start.startswith((b'<!doctype', b'<html')), 'HTML'),
        (data[:4] == b'%PDF', 'PDF'),
        (data[:4] == b'PK\3\4', 'a zip archive'),
    )
    return next((f' (it looks like {kind})' for found, kind in kinds if found), '')
