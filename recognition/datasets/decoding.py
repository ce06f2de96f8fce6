"""Bytes into an upright RGB image: the one way in, for uploads and for predictions.

Nothing is believed but the bytes: not the file's name, not the type a client claims. The size is bounded from the header,
before any pixel is decoded; only the decoders of FORMATS are ever tried.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass

from django.conf import settings
from PIL import Image as Picture

from recognition.errors import InvalidImageError, TooLargeError

FORMATS = ('JPEG', 'PNG', 'WEBP', 'GIF', 'BMP')  # of animated ones the first frame
MIN_SIDE = 8  # pixels; below that there is nothing to recognise
MAX_SIDE = 30_000  # pixels; libjpeg writes at most 65,500
MAX_ASPECT_RATIO = 50  # long side : short side; every network squashes the image to a square
EXIF_ORIENTATION = 0x0112  # the EXIF tag
TRANSPOSITIONS = {
    2: Picture.Transpose.FLIP_LEFT_RIGHT,
    3: Picture.Transpose.ROTATE_180,
    4: Picture.Transpose.FLIP_TOP_BOTTOM,
    5: Picture.Transpose.TRANSPOSE,
    6: Picture.Transpose.ROTATE_270,
    7: Picture.Transpose.TRANSVERSE,
    8: Picture.Transpose.ROTATE_90,
}
# One decoded image of 89 million pixels takes 270 MB: large ones are decoded one at a time.
MAX_PROFILE_BYTES = 64 * 2**10  # bytes of a colour profile; the usual ones have 0.5 to 4 KB
LARGE_PIXELS = 24_000_000  # pixels
_large_image_lock = threading.Lock()


@dataclass(frozen=True)
class ImageHeader:
    """What the header says of an image that may be decoded."""

    format: str  # one of FORMATS, as the decoder found it
    width: int  # pixels, upright
    height: int
    mode: str  # Pillow's, before conversion
    orientation: int  # EXIF, 1 to 8


@dataclass(frozen=True)
class DecodedImage:
    """A decoded image: RGB, upright. `picture` is smaller than width x height when a smaller one was asked for."""

    picture: Picture.Image
    facts: ImageHeader
    profile: bytes | None = None  # ICC, of a reasonable size

    @property
    def width(self) -> int:
        return self.facts.width

    @property
    def height(self) -> int:
        return self.facts.height


def read_header(data: bytes) -> ImageHeader:
    """Check an image by its header alone. Errors: TooLargeError (bytes), InvalidImageError (everything else)."""
    with _open(data) as (_, facts):
        return facts


def decode_upright(data: bytes, side: int | None = None) -> DecodedImage:
    """Decode to an upright RGB image; transparency lies over white.

    side: a JPEG may be decoded at 1/2, 1/4 or 1/8 of its size, as long as both sides stay >= `side` pixels (6 times
    faster on photos of a phone). Errors: TooLargeError, InvalidImageError; no other.
    """
    with _open(data) as (picture, facts):
        if side is not None:
            picture.draft('RGB', (side, side))
        with _large_image_lock if picture.width * picture.height > LARGE_PIXELS else nullcontext():
            try:
                picture.load()
                upright = _convert_to_rgb(picture)
                if facts.orientation in TRANSPOSITIONS:
                    upright = upright.transpose(TRANSPOSITIONS[facts.orientation])
                profile = _read_profile(picture)
                upright.info.clear()  # encoders would write comments and the like from here
            except Exception as error:  # decoders meet hostile bytes with errors of every class
                raise InvalidImageError(f'is damaged or cut short ({facts.format})') from error
        return DecodedImage(upright, facts, profile)


@contextmanager
def _open(data: bytes) -> Iterator[tuple[Picture.Image, ImageHeader]]:
    if not data:
        raise InvalidImageError('is empty')
    if len(data) > settings.MAX_IMAGE_BYTES:
        raise TooLargeError(f'is larger than {settings.MAX_IMAGE_BYTES // 2**20} MB')
    try:
        picture = Picture.open(io.BytesIO(data), formats=FORMATS)
    except Picture.DecompressionBombError as error:
        raise InvalidImageError(_describe_too_many_pixels()) from error
    except Picture.UnidentifiedImageError as error:
        raise InvalidImageError(
            f'is not a JPEG, PNG, WebP, GIF or BMP image{_guess_other_kind(data)}'
        ) from error
    except Exception as error:  # a damaged header: struct.error, ValueError, OverflowError, zlib.error ...
        raise InvalidImageError('has a damaged header') from error
    with picture:
        yield picture, _make_header(picture)


def _make_header(picture: Picture.Image) -> ImageHeader:
    width, height = picture.size
    if width * height > settings.MAX_IMAGE_PIXELS:
        raise InvalidImageError(_describe_too_many_pixels(width, height))
    short, long = sorted((width, height))
    if short < MIN_SIDE:
        raise InvalidImageError(
            f'is {width} x {height} pixels: the shorter side must have at least {MIN_SIDE}'
        )
    if long > MAX_SIDE or long > MAX_ASPECT_RATIO * short:
        raise InvalidImageError(f'is {width} x {height} pixels: too long and thin to be recognised')
    orientation = _read_orientation(picture)
    if orientation >= 5:
        width, height = height, width
    # Phones write JPEGs that hold several pictures; Pillow calls them MPO and opens the first.
    return ImageHeader(
        'JPEG' if picture.format == 'MPO' else str(picture.format), width, height, picture.mode, orientation
    )


def _read_orientation(picture: Picture.Image) -> int:
    """1 to 8. EXIF that cannot be read says nothing about the image: it counts as upright."""
    try:
        value = picture.getexif().get(EXIF_ORIENTATION, 1)
    except Exception:  # the EXIF reader raises errors of every class on damaged tags
        return 1
    return value if isinstance(value, int) and value in TRANSPOSITIONS else 1


def _convert_to_rgb(picture: Picture.Image) -> Picture.Image:
    if picture.mode == 'RGB' and 'transparency' not in picture.info:
        return picture.copy()
    if picture.mode.startswith('I') or picture.mode == 'F':
        # Converting 16-bit grey directly would clip at 255 instead of scaling.
        return picture.convert('I').point(lambda value: value * (1 / 257) + 0.5).convert('L').convert('RGB')
    if picture.mode in ('RGBA', 'LA', 'PA', 'RGBa', 'La') or 'transparency' in picture.info:
        glass = picture.convert('RGBA')
        paper = Picture.new('RGBA', glass.size, 'white')
        paper.alpha_composite(glass)
        return paper.convert('RGB')
    return picture.convert('RGB')


def _read_profile(picture: Picture.Image) -> bytes | None:
    """The colour profile of an RGB image; a grey or CMYK one does not fit what we make of it."""
    profile = picture.info.get('icc_profile') if picture.mode.startswith('RGB') else None
    return profile if isinstance(profile, bytes) and 0 < len(profile) <= MAX_PROFILE_BYTES else None


def _describe_too_many_pixels(width: int = 0, height: int = 0) -> str:
    size = f'is {width:,} x {height:,} pixels' if width else 'has too many pixels'
    return f'{size}: at most {settings.MAX_IMAGE_PIXELS // 10**6} million are allowed'


def _guess_other_kind(data: bytes) -> str:
    """What a file of another kind seems to be, for the words of the refusal only."""
    start = data[:64].lstrip().lower()
    kinds = (
        (data[4:12] in (b'ftypheic', b'ftypheix', b'ftypmif1'), 'HEIC: export it as JPEG'),
        (data[4:12] == b'ftypavif', 'AVIF: export it as JPEG'),
        (data[:4] in (b'II*\0', b'MM\0*'), 'TIFF: export it as PNG'),
        (start.startswith((b'<svg', b'<?xml')), 'SVG: drawings are not taken'),
        (start.startswith((b'<!doctype', b'<html')), 'HTML'),
        (data[:4] == b'%PDF', 'PDF'),
        (data[:4] == b'PK\3\4', 'a zip archive'),
    )
    return next((f' (it looks like {kind})' for found, kind in kinds if found), '')
