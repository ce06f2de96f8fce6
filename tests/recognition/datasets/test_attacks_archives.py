"""Hostile archives: nothing is written outside, nothing grows without bound, and what is refused is named."""

from __future__ import annotations

import io
import resource
import stat
import struct
import time
import unicodedata
import zipfile

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from recognition.datasets.archives import read_files, read_upload
from recognition.datasets.upload_results import IncomingFile, UploadResult
from recognition.datasets.uploads import add_images
from recognition.errors import GraftError, TooLargeError
from recognition.models import Image
from tests.support.photos import draw_photo
from tests.support.zip_archives import replace_bytes, write_zip

PHOTO = draw_photo(1, side=16)
MEBIBYTE = 2**20


def outcomes(project, archive: io.BytesIO) -> dict[str, tuple[str, str]]:
    results = add_images(project, None, read_upload('x.zip', archive))
    return {result.name: (result.outcome, result.reason) for result in results}


def everything_below(folder) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob('*') if path.is_file()}


# Row 8: paths that lead outside.


@pytest.mark.django_db
@pytest.mark.parametrize(
    'name',
    [
        '../../evil.jpg',
        '/abs/evil.jpg',
        'rose/../../evil.jpg',
        'C:\\evil.jpg',
        'C:/evil.jpg',
        'rose\\evil.jpg',
        '..\\evil.jpg',
    ],
)
def test_an_entry_with_an_unsafe_path_is_refused_by_name_and_the_rest_is_kept(project, tmp_path, name):
    placeholder = 'p' * len(name)
    archive = write_zip({placeholder: draw_photo(9, side=16), 'good.jpg': PHOTO}, zipfile.ZIP_STORED)
    found = outcomes(project, replace_bytes(archive, placeholder.encode(), name.encode()))
    assert found['good.jpg'][0] == 'created'
    assert found[name] == ('rejected', 'has an unsafe path')
    assert [path for path in everything_below(tmp_path) if 'evil' in path or 'good' in path] == []
    assert all(path.startswith(('media/images/', 'media/thumbnails/')) for path in everything_below(tmp_path))


# Row 9: links and devices.


@pytest.mark.django_db
@pytest.mark.parametrize('kind', [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
@pytest.mark.parametrize('system', [0, 3])
def test_links_and_devices_are_refused_by_type(project, kind, system):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w') as archive:
        entry = zipfile.ZipInfo('secret.jpg')
        entry.create_system = system
        entry.external_attr = (kind | 0o777) << 16
        archive.writestr(entry, '/etc/passwd')
        archive.writestr('good.jpg', PHOTO)
    found = outcomes(project, buffer)
    assert found['secret.jpg'] == ('rejected', 'is a link or a device, not a file')
    assert found['good.jpg'][0] == 'created'


# Row 10: bombs.


def test_an_archive_that_unpacks_to_too_much_is_too_large():
    archive = write_zip({f'{n}.bmp': bytes(8 * MEBIBYTE) for n in range(10)})
    assert len(archive.getvalue()) < MEBIBYTE
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(TooLargeError):
        read_upload('bomb.zip', archive)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def test_overlapping_entries_count_each_time(settings):
    """Many names in the directory for the same bytes, as in the densest bombs."""
    settings.MAX_ARCHIVE_BYTES = 10 * MEBIBYTE
    archive = write_zip({f'{n:04}.jpg': b'' for n in range(500)} | {'kernel.jpg': bytes(MEBIBYTE)})
    with zipfile.ZipFile(archive) as reader:
        kernel = reader.getinfo('kernel.jpg')
    record = struct.pack('<II', kernel.compress_size, kernel.file_size)
    data = bytearray(archive.getvalue())
    at = 0
    while (at := data.find(b'PK\x01\x02', at)) >= 0:
        data[at + 20 : at + 28] = record
        data[at + 42 : at + 46] = struct.pack('<I', kernel.header_offset)
        at += 46
    with pytest.raises(TooLargeError):
        read_upload('overlap.zip', io.BytesIO(bytes(data)))


@pytest.mark.django_db
def test_an_entry_that_lies_about_its_size_is_refused_and_never_unpacked_beyond_it(project):
    archive = write_zip({'lies.jpg': bytes(30 * MEBIBYTE), 'good.jpg': PHOTO})
    true, false = struct.pack('<I', 30 * MEBIBYTE), struct.pack('<I', 100)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    found = outcomes(project, replace_bytes(archive, true, false))
    assert (
        found['lies.jpg'] == ('rejected', 'is damaged in the archive') and found['good.jpg'][0] == 'created'
    )
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


@pytest.mark.django_db
def test_an_entry_larger_than_an_image_may_be_is_refused_unread(project, settings):
    settings.MAX_IMAGE_BYTES = MEBIBYTE
    found = outcomes(project, write_zip({'large.jpg': bytes(2 * MEBIBYTE), 'good.jpg': PHOTO}))
    assert 'larger than 1 MB' in found['large.jpg'][1] and found['good.jpg'][0] == 'created'


def test_too_many_entries_are_too_large(settings):
    settings.MAX_ARCHIVE_ENTRIES = 50
    with pytest.raises(TooLargeError):
        read_upload('many.zip', write_zip({f'{n}.jpg': b'' for n in range(51)}))


def test_a_directory_of_a_million_entries_is_not_even_read():
    entry = struct.pack('<4s6H3I5H2I', b'PK\x01\x02', 20, 20, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0) + b'a'
    directory = entry * 1_000_000
    start = b'PK\x03\x04' + bytes(26)
    end = struct.pack('<4s4H2IH', b'PK\x05\x06', 0, 0, 0xFFFF, 0xFFFF, len(directory), len(start), 0)
    archive = io.BytesIO(start + directory + end)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    started = time.perf_counter()
    with pytest.raises(TooLargeError):
        read_upload('million.zip', archive)
    assert time.perf_counter() - started < 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB


def test_an_archive_larger_than_allowed_is_too_large(settings):
    settings.MAX_ARCHIVE_BYTES = 1000
    with pytest.raises(TooLargeError):
        read_upload('x.zip', write_zip({'a.jpg': PHOTO * 20}, zipfile.ZIP_STORED))


@pytest.mark.django_db
def test_archives_inside_archives_are_refused(project):
    inner = write_zip({'deep.jpg': PHOTO}).getvalue()
    entries = {'inner.zip': inner, 'disguised.jpg': inner, 'x.tar.gz': b'x', 'x.7z': b'x', 'good.jpg': PHOTO}
    found = outcomes(project, write_zip(entries))
    assert {name for name, (outcome, _) in found.items() if outcome == 'rejected'} == set(entries) - {
        'good.jpg'
    }
    assert 'a zip archive' in found['disguised.jpg'][1]


def test_a_bomb_among_good_files_is_found_before_any_file_is_read(settings):
    settings.MAX_ARCHIVE_ENTRIES = 2
    bomb = write_zip({f'{n}.jpg': b'' for n in range(3)})
    with pytest.raises(TooLargeError):
        read_files([('good.jpg', io.BytesIO(PHOTO)), ('bomb.zip', bomb)])


@pytest.mark.django_db
@pytest.mark.parametrize('method', [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_methods_that_unpack_without_a_bound_are_refused(project, method):
    found = outcomes(project, write_zip({'a.jpg': PHOTO}, method))
    assert found['a.jpg'] == ('rejected', 'is compressed by an unsupported method')


# Row 11: names.


@pytest.mark.django_db
def test_names_that_differ_by_case_or_normal_form_are_both_kept(project):
    one, other = 'é.jpg', unicodedata.normalize('NFD', 'é.jpg')
    entries = {
        name: draw_photo(n, side=16)
        for n, name in enumerate(['A.jpg', 'a.jpg', one, other, 'CON.jpg', 'NUL'])
    }
    results = add_images(project, None, read_upload('x.zip', write_zip(entries)))
    assert [result.outcome for result in results] == ['created'] * 6
    assert Image.objects.values('key').distinct().count() == 6


@pytest.mark.django_db
def test_folders_that_differ_by_normal_form_only_are_one_class(project):
    entries = {
        unicodedata.normalize(form, f'café/{form}.jpg'): draw_photo(n, side=16)
        for n, form in enumerate(['NFC', 'NFD'])
    }
    results = add_images(
        project, None, read_upload('x.zip', write_zip(entries | {'tea/1.jpg': draw_photo(7, side=16)}))
    )
    assert [result.label for result in results] == ['café', 'café', 'tea']


@pytest.mark.django_db
def test_a_name_of_300_bytes_is_kept_cut_to_what_can_be_shown(project):
    name = 'ü' * 200 + '.jpg'
    [result] = add_images(project, None, read_upload('x.zip', write_zip({name: PHOTO})))
    row = Image.objects.get(pk=result.image_id)
    assert result.outcome == 'created' and row.name.endswith('.jpg') and len(row.name) <= 255


@pytest.mark.django_db
@pytest.mark.parametrize('raw', [b'\xe9t\xe9.jpg', b'\xff\xfe.jpg', 'été.jpg'.encode()])
def test_names_in_any_encoding_are_kept(project, raw):
    placeholder = b'p' * len(raw)
    archive = replace_bytes(write_zip({placeholder.decode(): PHOTO}, zipfile.ZIP_STORED), placeholder, raw)
    [result] = add_images(project, None, read_upload('x.zip', archive))
    assert result.outcome == 'created' and result.name.endswith('.jpg')
    assert result.name == 'été.jpg' or raw != 'été.jpg'.encode()


def test_names_that_claim_to_be_utf8_and_are_not_refuse_the_archive_with_a_verdict():
    data = (
        write_zip({'éé.jpg': PHOTO}, zipfile.ZIP_STORED)
        .getvalue()
        .replace('éé'.encode(), b'\xff\xff\xff\xff')
    )
    [result] = read_upload('x.zip', io.BytesIO(data))
    assert isinstance(result, UploadResult) and result.outcome == 'rejected'


# Encrypted and damaged.


@pytest.mark.django_db
def test_encrypted_entries_are_refused(project):
    data = bytearray(write_zip({'a.jpg': PHOTO}).getvalue())
    data[6] |= 1
    data[data.find(b'PK\x01\x02') + 8] |= 1
    assert outcomes(project, io.BytesIO(bytes(data)))['a.jpg'] == ('rejected', 'is encrypted')


@pytest.mark.django_db
def test_a_damaged_entry_is_refused_and_the_others_are_kept(project):
    archive = write_zip({'a.jpg': PHOTO, 'b.jpg': draw_photo(2, side=16)}, zipfile.ZIP_STORED)
    data = bytearray(archive.getvalue())
    data[data.find(PHOTO) + 200] ^= 0xFF
    found = outcomes(project, io.BytesIO(bytes(data)))
    assert found['a.jpg'] == ('rejected', 'is damaged in the archive') and found['b.jpg'][0] == 'created'


@hypothesis_settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_whatever_archive_comes_every_entry_gives_a_file_or_a_verdict(draw):
    data = bytearray(write_zip({'rose/1.jpg': PHOTO, 'tulip/2.jpg': PHOTO, '.hidden': b'x'}).getvalue())
    for _ in range(draw.draw(st.integers(1, 10))):
        data[draw.draw(st.integers(4, len(data) - 1))] = draw.draw(st.integers(0, 255))
    try:
        for item in read_upload(
            'x.zip', io.BytesIO(bytes(data[: draw.draw(st.integers(0, len(data)))] or data))
        ):
            assert isinstance(item, IncomingFile | UploadResult)
            if isinstance(item, IncomingFile):
                item.read()
    except GraftError as refusal:
        assert refusal.message
