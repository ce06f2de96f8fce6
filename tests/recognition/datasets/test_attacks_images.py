"""Hostile and odd images: each gets its reason, within bounds, and never a fault of ours."""

from __future__ import annotations

import contextlib
import io
import resource
import struct
import time
import zlib

import numpy as np
import pytest
from django.core.files.storage import default_storage
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image as Picture
from PIL.PngImagePlugin import PngInfo

from recognition import storage
from recognition.datasets import jpeg
from recognition.datasets.decoding import decode_image, read_header
from recognition.datasets.upload_results import IncomingFile
from recognition.datasets.uploads import add_images
from recognition.errors import GraftError, InvalidImageError, TooLargeError
from recognition.models import Image
from tests.support.photos import draw_photo


def add(project, data: bytes, name: str = 'photo.jpg'):
    [verdict] = add_images(project, None, [IncomingFile(name, lambda: data, len(data), None)])
    return verdict


def encoded(picture: Picture.Image, format: str, **options) -> bytes:
    buffer = io.BytesIO()
    picture.save(buffer, format, **options)
    return buffer.getvalue()


def png_chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack('>I', len(data)) + kind + data + struct.pack('>I', zlib.crc32(kind + data))


def png_header(width: int, height: int) -> bytes:
    header = png_chunk(b'IHDR', struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0))
    return (
        b'\x89PNG\r\n\x1a\n'
        + header
        + png_chunk(b'IDAT', zlib.compress(bytes(4096)))
        + png_chunk(b'IEND', b'')
    )


# Row 1: decompression bombs.


def test_a_bomb_is_refused_from_its_header_without_memory(project):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    verdict = add(project, png_header(65_000, 65_000), 'bomb.png')
    assert verdict.outcome == 'rejected' and 'pixels' in verdict.reason
    assert time.perf_counter() - started < 2
    assert (
        resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 50_000
    )  # KiB; decoded it would take 12 GB


@pytest.mark.parametrize('size', [(2**31 - 1, 2**31 - 1), (100_000, 1_000), (12_000, 9_000)])
def test_whatever_the_library_would_warn_of_is_refused(size, settings):
    assert settings.MAX_IMAGE_PIXELS <= Picture.MAX_IMAGE_PIXELS
    with pytest.raises(InvalidImageError):
        read_header(png_header(*size))


def test_a_gif_whose_frame_is_larger_than_its_screen_is_bounded():
    screen = b'GIF89a' + struct.pack('<HHBBB', 16, 16, 0x80, 0, 0) + bytes(6)
    frame = b',' + struct.pack('<HHHHB', 0, 0, 65_000, 65_000, 0) + b'\x02\x02\x4c\x01\x00;'
    with pytest.raises(InvalidImageError):
        decode_image(screen + frame)


def test_too_many_bytes_are_refused_before_they_are_read(project, settings):
    settings.MAX_IMAGE_BYTES = 1000

    def never() -> bytes:
        raise AssertionError('was read')

    [verdict] = add_images(project, None, [IncomingFile('large.jpg', never, 1001, None)])
    assert verdict.outcome == 'rejected' and 'larger than' in verdict.reason
    with pytest.raises(TooLargeError):
        decode_image(bytes(1001))


# Row 2: formats whose decoders were holes before. Row 6: documents that call themselves images.

OTHER_FORMATS = {
    'psd': b'8BPS\0\1' + bytes(6) + struct.pack('>HIIHH', 3, 32, 32, 8, 3) + bytes(64),
    'fits': b'SIMPLE  =                    T'.ljust(80) + b'BITPIX  =                    8'.ljust(80),
    'eps': b'%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 32 32\n%%EndComments\n',
    'fli': struct.pack('<IHHHHHH', 128, 0xAF11, 1, 32, 32, 8, 0) + bytes(112),
    'svg': b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>',
    'html': b'<!doctype html><script>alert(1)</script>',
    'xml': b'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY e SYSTEM "file:///etc/passwd">]><svg>&e;</svg>',
    'pdf': b'%PDF-1.7\n',
    'text': b'GIF',
    'zip': b'PK\3\4' + bytes(40),
}


@pytest.mark.parametrize('kind', OTHER_FORMATS)
def test_other_formats_called_jpg_are_refused(project, kind):
    verdict = add(project, OTHER_FORMATS[kind])
    assert verdict.outcome == 'rejected' and 'JPEG, PNG, WebP, GIF or BMP' in verdict.reason
    assert not Image.objects.exists()


@pytest.mark.parametrize('format', ['TIFF', 'SGI', 'ICO', 'PPM', 'TGA', 'PCX', 'JPEG2000', 'AVIF', 'DDS'])
def test_images_in_formats_off_the_list_are_refused(format):
    try:
        data = encoded(Picture.new('RGB', (32, 32), 'red'), format)
    except (OSError, KeyError):
        pytest.skip(f'this build of Pillow writes no {format}')
    with pytest.raises(InvalidImageError):
        decode_image(data)


def test_what_is_served_is_what_we_wrote_not_what_came(project):
    html = b'<script>alert(1)</script>'
    polyglot = draw_photo(1) + html
    comment = b'\xff\xfe' + struct.pack('>H', len(html) + 2) + html
    polyglot = polyglot[:2] + comment + polyglot[2:]
    row = Image.objects.get(pk=add(project, polyglot).image_id)
    assert b'script' in polyglot and b'script' not in storage.read(row.key) + storage.read(row.thumbnail_key)


# Row 3: damaged, odd and tiny.


@pytest.mark.parametrize('format', ['JPEG', 'PNG', 'WEBP', 'GIF', 'BMP'])
@pytest.mark.parametrize('share', [0.0, 0.02, 0.3, 0.6, 0.9])
def test_a_file_cut_short_is_refused(format, share):
    data = draw_photo(1, side=120, format=format)
    with pytest.raises(InvalidImageError):
        decode_image(data[: int(len(data) * share)])
    with pytest.raises(InvalidImageError):
        decode_image(data[: int(len(data) * share)], side=32)


@pytest.mark.parametrize('size', [(1, 1), (1, 20_000), (20_000, 1), (7, 100), (8, 500), (30_001, 900)])
def test_what_is_too_small_or_too_thin_is_refused_with_its_size(project, size):
    verdict = add(project, encoded(Picture.new('L', size), 'PNG'), 'thin.png')
    assert verdict.outcome == 'rejected' and f'{size[0]} x {size[1]}' in verdict.reason


@pytest.mark.parametrize('size', [(8, 8), (8, 400), (400, 8)])
def test_the_smallest_and_the_thinnest_that_are_taken(project, size):
    verdict = add(project, encoded(Picture.new('RGB', size, 'red'), 'PNG'), 'thin.png')
    row = Image.objects.get(pk=verdict.image_id)
    assert (row.width, row.height) == size
    assert max(Picture.open(io.BytesIO(storage.read(row.thumbnail_key))).size) <= 256


@pytest.mark.parametrize('mode', ['1', 'L', 'LA', 'P', 'RGB', 'RGBA', 'I;16'])
def test_every_mode_of_png_is_taken(project, mode):
    assert add(project, encoded(Picture.new(mode, (20, 20)), 'PNG'), f'{mode}.png').outcome == 'created'


def test_transparent_palettes_of_every_kind_are_taken(project):
    palette = Picture.new('P', (20, 20), 1)
    palette.putpalette(range(256))
    for index, transparency in enumerate((1, bytes([255, 0, 128]))):
        palette.putpixel((index, 0), 5)
        assert add(project, encoded(palette, 'PNG', transparency=transparency)).outcome == 'created'
    assert (
        add(project, encoded(Picture.new('RGB', (20, 20)), 'PNG', transparency=(0, 0, 0))).outcome
        == 'created'
    )
    assert add(project, encoded(Picture.new('L', (20, 20)), 'PNG', transparency=0)).outcome == 'created'


# Row 4: endless animations.


@pytest.mark.parametrize('format', ['GIF', 'WEBP', 'PNG'])
def test_of_an_animation_only_the_first_frame_is_decoded(format):
    frames = [Picture.fromarray(np.full((24, 24, 3), shade % 250, np.uint8)) for shade in range(0, 2000)]
    data = encoded(frames[0], format, save_all=True, append_images=frames[1:], duration=20)
    started = time.perf_counter()
    decoded = decode_image(data)
    assert time.perf_counter() - started < 1
    assert np.asarray(decoded.rgb).max() <= 3


# Row 5: large pieces that are not pixels.


def test_a_huge_text_chunk_is_bounded():
    def with_text(text: str) -> bytes:
        info = PngInfo()
        info.add_text('Comment', text, zip=True)
        return encoded(Picture.new('RGB', (32, 32)), 'PNG', pnginfo=info)

    with pytest.raises(InvalidImageError):
        decode_image(with_text('A' * 80_000_000))
    assert decode_image(with_text('A' * 1000)).rgb.info == {}


def test_a_huge_colour_profile_and_exif_are_not_kept(project):
    noise = np.random.default_rng(0).bytes(300_000)
    data = encoded(
        Picture.new('RGB', (64, 64), 'red'), 'JPEG', icc_profile=noise, exif=b'Exif\0\0' + noise[:60_000]
    )
    row = Image.objects.get(pk=add(project, data).image_id)
    assert len(data) > 300_000 and row.size < 70_000
    png = encoded(Picture.new('RGB', (64, 64), 'red'), 'PNG', icc_profile=noise)
    assert Image.objects.get(pk=add(project, png, 'a.png').image_id).size < 1_000


def test_a_profile_bomb_in_a_png_is_bounded():
    bomb = png_chunk(b'iCCP', b'x\0\0' + zlib.compress(bytes(200_000_000)))
    plain = encoded(Picture.new('RGB', (32, 32)), 'PNG')
    started = time.perf_counter()
    # Refusing is as right as ignoring the profile; what counts is time and memory
    with contextlib.suppress(InvalidImageError):
        decode_image(plain[:33] + bomb + plain[33:])
    assert time.perf_counter() - started < 2


# Row 7: where a photo was taken.


def test_gps_is_in_neither_image_nor_thumbnail(project):
    exif = Picture.Exif()
    exif[0x010F] = 'A camera'
    exif.get_ifd(0x8825).update({1: 'N', 3: 'E', 29: '2026:11:20'})
    for name, format in (('a.jpg', 'JPEG'), ('a.webp', 'WEBP'), ('a.png', 'PNG')):
        tint = {'JPEG': 'red', 'WEBP': 'blue', 'PNG': 'green'}[format]
        data = encoded(Picture.new('RGB', (64, 64), tint), format, exif=exif)
        assert b'2026:11:20' in data
        row = Image.objects.get(pk=add(project, data, name).image_id)
        for key in (row.key, row.thumbnail_key):
            assert b'2026:11:20' not in storage.read(key)
            assert dict(Picture.open(io.BytesIO(storage.read(key))).getexif().get_ifd(0x8825)) == {}


# Names.


@pytest.mark.parametrize(
    'name',
    [
        '../../etc/passwd',
        'C:\\x.jpg',
        'CON',
        'x' * 400 + '.jpg',
        '<img src=x onerror=alert(1)>.jpg',
        'a\0b.jpg',
        '\ud800.jpg',
        '',
    ],
)
def test_a_name_is_kept_to_be_shown_and_is_no_path(project, name):
    verdict = add(project, draw_photo(1), name)
    row = Image.objects.get(pk=verdict.image_id)
    assert verdict.outcome == 'created' and 0 < len(row.name) <= 255
    assert row.key == f'images/{project.pk}/{row.pk}.jpg'
    assert default_storage.listdir('')[0] and default_storage.listdir('')[1] == []


# Anything at all.


@hypothesis_settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(['JPEG', 'PNG', 'WEBP', 'GIF', 'BMP']), st.data())
def test_whatever_bytes_come_the_answer_is_an_image_or_a_refusal(format, draw):
    data = bytearray(draw_photo(1, side=24, format=format))
    for _ in range(draw.draw(st.integers(1, 12))):
        data[draw.draw(st.integers(0, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        decoded = decode_image(bytes(data))
        if decoded.header.format == 'JPEG':
            jpeg.strip_metadata(bytes(data))
    except (GraftError, jpeg.MalformedJpegError):
        return
    assert decoded.rgb.mode == 'RGB'
