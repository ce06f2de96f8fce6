"""Adding images: what is kept, what is left out, copies, labels, and what an error leaves behind."""

from __future__ import annotations

import hashlib
import io

import numpy as np
import pytest
from django.core.files.storage import default_storage
from django.db import OperationalError, connection
from PIL import Image as Picture
from PIL.TiffImagePlugin import IFDRational

from recognition import storage
from recognition.datasets import labels
from recognition.datasets.decoding import decode_image
from recognition.datasets.upload_results import IncomingFile, UploadResult
from recognition.datasets.uploads import BATCH_FILES, add_images
from recognition.errors import InvalidImageError
from recognition.models import Image, Label
from tests.support.photos import draw_photo

pytestmark = pytest.mark.django_db


def incoming(name: str, data: bytes, label: str | None = None) -> IncomingFile:
    return IncomingFile(name, lambda: data, len(data), label)


def add(project, *files):
    return add_images(project, None, files)


def stored_keys() -> set[str]:
    """Everything in storage, thumbnails included."""
    found = set()
    folders = ['']
    while folders:
        folder = folders.pop()
        below, files = default_storage.listdir(folder)
        found |= {f'{folder}/{name}'.lstrip('/') for name in files}
        folders += [f'{folder}/{name}'.lstrip('/') for name in below]
    return found


def photo_with_metadata(orientation: int = 1, side: int = 64) -> bytes:
    exif = Picture.Exif()
    exif[0x0112] = orientation
    exif[0x010F] = 'SECRET-CAMERA'
    exif.get_ifd(0x8825).update({1: 'N', 2: (IFDRational(52), IFDRational(31), IFDRational(12))})
    pixels = np.zeros((side, side * 2, 3), np.uint8)
    pixels[:, :side] = (220, 30, 30)
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(
        buffer, 'JPEG', quality=95, exif=exif, comment=b'SECRET-COMMENT', xmp=b'<x>SECRET-XMP</x>'
    )
    return buffer.getvalue() + b'SECRET-TAIL'


def test_a_photo_becomes_an_image_with_its_label_and_thumbnail(project, alice):
    data = draw_photo(1, side=600)
    [verdict] = add_images(project, alice, [incoming('rose/1.jpg', data, 'rose')])
    assert (verdict.outcome, verdict.reason, verdict.label) == ('created', '', 'rose')
    row = Image.objects.get(pk=verdict.image_id)
    assert (row.name, row.width, row.height, row.label.name, row.added_by) == (
        'rose/1.jpg',
        600,
        600,
        'rose',
        alice,
    )
    assert row.digest == hashlib.sha256(data).hexdigest()
    assert row.size == len(storage.read(row.key))
    thumbnail = Picture.open(io.BytesIO(storage.read(row.thumbnail_key)))
    assert (thumbnail.format, thumbnail.size) == ('JPEG', (256, 256))


def test_an_upright_jpeg_keeps_its_pixels_and_loses_its_metadata(project):
    data = photo_with_metadata()
    [verdict] = add(project, incoming('a.jpg', data))
    kept = storage.read(Image.objects.get(pk=verdict.image_id).key)
    assert b'SECRET' not in kept and b'Exif' not in kept
    assert len(Picture.open(io.BytesIO(kept)).getexif()) == 0
    assert np.array_equal(
        np.asarray(Picture.open(io.BytesIO(kept))), np.asarray(Picture.open(io.BytesIO(data)))
    )


@pytest.mark.parametrize('orientation', range(1, 9))
def test_exif_orientation_is_applied_once(project, orientation):
    data = photo_with_metadata(orientation)
    [verdict] = add(project, incoming('a.jpg', data))
    row = Image.objects.get(pk=verdict.image_id)
    kept = Picture.open(io.BytesIO(storage.read(row.key)))
    assert kept.size == (row.width, row.height) == ((128, 64) if orientation <= 4 else (64, 128))
    assert kept.getexif().get(0x0112, 1) == 1
    # The red half: left, right, right, left, top, top, bottom, bottom, as the EXIF standard counts.
    red = np.asarray(kept.convert('RGB')).astype(int)[..., 0] > 110
    halves = {
        'left': red[:, : red.shape[1] // 2],
        'right': red[:, red.shape[1] // 2 :],
        'top': red[: red.shape[0] // 2],
        'bottom': red[red.shape[0] // 2 :],
    }
    expected = ['left', 'right', 'right', 'left', 'top', 'top', 'bottom', 'bottom'][orientation - 1]
    assert halves[expected].mean() > 0.9
    thumbnail = Picture.open(io.BytesIO(storage.read(row.thumbnail_key)))
    assert thumbnail.size == kept.size
    assert b'SECRET' not in storage.read(row.key) + storage.read(row.thumbnail_key)


def test_a_jpeg_with_several_pictures_counts_as_its_first(project):
    first, second = Picture.new('RGB', (80, 60), 'navy'), Picture.new('RGB', (40, 30), 'white')
    buffer = io.BytesIO()
    first.save(buffer, 'MPO', save_all=True, append_images=[second])
    [verdict] = add(project, incoming('phone.jpg', buffer.getvalue()))
    kept = storage.read(Image.objects.get(pk=verdict.image_id).key)
    assert verdict.outcome == 'created'
    assert Picture.open(io.BytesIO(kept)).format == 'JPEG' and kept.count(b'\xff\xd8\xff') == 1


@pytest.mark.parametrize(
    ('mode', 'format', 'colour', 'expected'),
    [
        ('CMYK', 'JPEG', (0, 255, 255, 0), (254, 0, 0)),
        ('L', 'JPEG', 90, (90, 90, 90)),
        ('I;16', 'PNG', 40_000, (156, 156, 156)),
        ('P', 'PNG', 3, None),
        ('LA', 'PNG', (0, 0), (255, 255, 255)),
        ('RGBA', 'PNG', (255, 0, 0, 0), (255, 255, 255)),
        ('RGBA', 'PNG', (255, 0, 0, 255), (255, 0, 0)),
        ('RGBA', 'WEBP', (0, 0, 0, 0), (255, 255, 255)),
        ('1', 'PNG', 1, (255, 255, 255)),
        ('P', 'GIF', 3, None),
        ('RGB', 'BMP', (1, 2, 3), (1, 2, 3)),
    ],
)
def test_every_colour_mode_becomes_rgb_with_transparency_over_white(mode, format, colour, expected):
    picture = Picture.new(mode, (32, 24), colour)
    buffer = io.BytesIO()
    picture.save(buffer, format)
    decoded = decode_image(buffer.getvalue())
    assert (decoded.rgb.mode, decoded.rgb.size, decoded.header.format) == ('RGB', (32, 24), format)
    if expected is not None:
        assert np.abs(np.asarray(decoded.rgb)[12, 16].astype(int) - expected).max() <= 3


def test_a_small_lossless_picture_stays_lossless(project):
    pixels = np.random.default_rng(0).integers(0, 255, (40, 40, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Picture.fromarray(pixels).save(buffer, 'PNG')
    [verdict] = add(project, incoming('sprite.png', buffer.getvalue()))
    row = Image.objects.get(pk=verdict.image_id)
    kept = Picture.open(io.BytesIO(storage.read(row.key)))
    assert row.key.endswith('.png') and kept.format == 'PNG'
    assert np.array_equal(np.asarray(kept), pixels)


def test_a_large_lossless_picture_becomes_a_jpeg(project):
    [verdict] = add(project, incoming('screen.bmp', draw_photo(1, side=1200, format='BMP')))
    row = Image.objects.get(pk=verdict.image_id)
    assert row.key.endswith('.jpg')
    assert Picture.open(io.BytesIO(storage.read(row.key))).format == 'JPEG'


def test_exact_copies_are_told_and_stored_once(project):
    data = draw_photo(1)
    verdicts = add(
        project, incoming('a.jpg', data), incoming('b.jpg', data), incoming('c.jpg', draw_photo(2))
    )
    assert [verdict.outcome for verdict in verdicts] == ['created', 'duplicate', 'created']
    assert verdicts[1].image_id == verdicts[0].image_id and 'a.jpg' in verdicts[1].reason
    [again] = add(project, incoming('d.jpg', data))
    assert (again.outcome, again.image_id, again.name) == ('duplicate', verdicts[0].image_id, 'd.jpg')
    assert Image.objects.count() == 2 and len(stored_keys()) == 4


def test_another_project_knows_nothing_of_a_copy(project, alice):
    from recognition.datasets.projects import create_project

    data = draw_photo(1)
    [here], [there] = (
        add(project, incoming('a.jpg', data)),
        add(create_project(alice, 'Other'), incoming('a.jpg', data)),
    )
    assert (here.outcome, there.outcome) == ('created', 'created')


def test_a_copy_in_the_trash_comes_back_with_the_label_it_is_given(project):
    [verdict] = add(project, incoming('a.jpg', draw_photo(1), 'rose'))
    labels.delete_images(project, [verdict.image_id])
    [back] = add(project, incoming('a.jpg', draw_photo(1)))
    assert (back.outcome, back.image_id, back.label) == ('restored', verdict.image_id, 'rose')
    labels.delete_images(project, [verdict.image_id])
    [moved] = add(project, incoming('a.jpg', draw_photo(1), 'tulip'))
    assert (moved.outcome, moved.label) == ('restored', 'tulip')
    assert Image.objects.present().get().label.name == 'tulip'


def test_an_unlabelled_copy_takes_the_label_of_its_folder_and_a_labelled_one_keeps_its_own(project):
    add(project, incoming('a.jpg', draw_photo(1)))
    [adopted] = add(project, incoming('rose/a.jpg', draw_photo(1), 'rose'))
    assert (adopted.outcome, adopted.label) == ('duplicate', 'rose')
    [kept] = add(project, incoming('tulip/a.jpg', draw_photo(1), 'tulip'))
    assert (kept.outcome, kept.label) == ('duplicate', 'rose')
    assert Image.objects.get().label.name == 'rose'


def test_one_bad_file_never_loses_the_others_and_makes_no_label(project):
    def unreadable() -> bytes:
        raise InvalidImageError('is damaged in the archive')

    verdicts = add(
        project,
        incoming('good.jpg', draw_photo(1), 'rose'),
        incoming('bad.jpg', b'no image', 'nonsense'),
        IncomingFile('torn.jpg', unreadable, 5, 'torn'),
        UploadResult('.DS_Store', 'skipped', 'is a file of the operating system'),
        incoming('long.jpg', draw_photo(3), 'x' * 121),
        incoming('more.jpg', draw_photo(2), 'rose'),
    )
    assert [v.outcome for v in verdicts] == [
        'created',
        'rejected',
        'rejected',
        'skipped',
        'rejected',
        'created',
    ]
    assert all(verdict.reason for verdict in verdicts[1:5])
    assert [label.name for label in Label.objects.all()] == ['rose']


def test_verdicts_keep_the_order_of_the_files_over_many_batches(project):
    files = [
        incoming(f'{n}.jpg', draw_photo(n, side=16) if n % 3 else b'bad') for n in range(BATCH_FILES * 2 + 5)
    ]
    verdicts = add(project, *files)
    assert [verdict.name for verdict in verdicts] == [file.name for file in files]
    assert {verdict.outcome for verdict in verdicts[::3]} == {'rejected'}
    assert Image.objects.count() == sum(1 for n in range(len(files)) if n % 3)


def before_the_rows_are_written(action):
    """Runs `action` once, just before the first image row is inserted."""
    done = []

    def wrapper(execute, sql, params, many, context):
        if sql.startswith('INSERT') and '"recognition_image"' in sql and not done:
            done.append(sql)
            action()
        return execute(sql, params, many, context)

    return connection.execute_wrapper(wrapper)


def test_a_database_error_leaves_neither_rows_nor_bytes(project):
    def disk_is_full():
        raise OperationalError('disk is full')

    files = [incoming('a.jpg', draw_photo(1), 'rose'), incoming('b.jpg', draw_photo(2), 'rose')]
    with pytest.raises(OperationalError), before_the_rows_are_written(disk_is_full):
        add(project, *files)
    assert Image.objects.count() == 0 and Label.objects.count() == 0
    assert stored_keys() == set()
    assert [verdict.outcome for verdict in add(project, *files)] == ['created', 'created']


def test_of_two_who_add_the_same_image_at_once_one_is_told_of_the_copy(project):
    data = draw_photo(1)
    others = {
        'digest': hashlib.sha256(data).hexdigest(),
        'key': 'x',
        'thumbnail_key': 'x',
        'width': 9,
        'height': 9,
        'size': 9,
    }
    with before_the_rows_are_written(
        lambda: Image.objects.create(project=project, name='theirs.jpg', **others)
    ):
        mine, other = add(project, incoming('mine.jpg', data), incoming('more.jpg', draw_photo(2)))
    assert (mine.outcome, other.outcome) == ('duplicate', 'created')
    assert 'theirs.jpg' in mine.reason
    assert Image.objects.count() == 2
    assert len(stored_keys()) == 2  # what was stored for mine.jpg is gone again


def test_a_smaller_decoding_is_never_smaller_than_asked():
    data = draw_photo(1, side=1000)
    decoded = decode_image(data, side=200)
    assert min(decoded.rgb.size) >= 200 and decoded.rgb.width < 1000
    assert (decoded.width, decoded.height) == (1000, 1000)


@pytest.mark.shared
def test_real_photos_lose_no_pixel(project, shared):
    paths = sorted(shared.glob('classification/*/*/*.jpg'))[::97][:20]
    files = [
        IncomingFile(path.name, path.read_bytes, path.stat().st_size, path.parent.name) for path in paths
    ]
    verdicts = add_images(project, None, files)
    assert {verdict.outcome for verdict in verdicts} == {'created'}
    for path, verdict in zip(paths, verdicts, strict=True):
        row = Image.objects.get(pk=verdict.image_id)
        kept = Picture.open(io.BytesIO(storage.read(row.key)))
        assert row.label.name == path.parent.name and kept.mode in ('RGB', 'L')
        assert np.array_equal(np.asarray(kept), np.asarray(Picture.open(path)))
