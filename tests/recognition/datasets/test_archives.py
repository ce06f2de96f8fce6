"""Zips, folders and dropped folders: what labels what, what is skipped, and that all is told."""

from __future__ import annotations

import io

import pytest

from recognition.datasets.archives import (
    find_common_folder,
    label_from_path,
    read_files,
    read_folder,
    read_upload,
)
from recognition.datasets.upload_results import CODES, IncomingFile, UploadResult
from recognition.datasets.uploads import add_images
from recognition.errors import InvalidInputError
from tests.support.photos import draw_photo
from tests.support.zip_archives import write_zip

PHOTO = draw_photo(1, side=16)


def labels(items) -> dict[str, str | None]:
    return {item.name: item.label for item in items if isinstance(item, IncomingFile)}


def told(items) -> dict[str, str]:
    return {item.name: item.outcome for item in items if isinstance(item, UploadResult)}


def test_one_folder_a_class_labels_itself():
    archive = write_zip({'rose/1.jpg': PHOTO, 'rose/2.jpg': PHOTO, 'tulip/1.jpg': PHOTO, 'loose.jpg': PHOTO})
    assert labels(read_upload('flowers.zip', archive)) == {
        'rose/1.jpg': 'rose',
        'rose/2.jpg': 'rose',
        'tulip/1.jpg': 'tulip',
        'loose.jpg': None,
    }


def test_folders_that_hold_everything_are_unwrapped():
    archive = write_zip(
        {'data/flowers/rose/1.jpg': PHOTO, 'data/flowers/tulip/1.jpg': PHOTO, 'data/README.txt': b'hello'}
    )
    items = list(read_upload('x.zip', archive))
    assert labels(items) == {'data/flowers/rose/1.jpg': 'rose', 'data/flowers/tulip/1.jpg': 'tulip'}
    assert told(items) == {'data/README.txt': 'skipped'}


def test_photos_in_one_single_folder_are_loose():
    assert labels(read_upload('x.zip', write_zip({'holiday/1.jpg': PHOTO, 'holiday/2.jpg': PHOTO}))) == {
        'holiday/1.jpg': None,
        'holiday/2.jpg': None,
    }


def test_the_first_folder_names_the_class_however_deep_the_file_lies():
    archive = write_zip({'rose/2026/may/1.jpg': PHOTO, 'tulip/1.jpg': PHOTO})
    assert labels(read_upload('x.zip', archive)) == {'rose/2026/may/1.jpg': 'rose', 'tulip/1.jpg': 'tulip'}


def test_what_may_hold_boxes_is_told_where_it_is_taken():
    entries = {
        'annotations/1.xml': b'<annotation/>',
        'instances.json': b'{}',
        'labels/1.txt': b'0 .5 .5 .1 .1',
        'README.txt': b'x',
        'weights.bin': b'x',
    }
    reasons = {
        item.name: item.reason
        for item in read_upload('x.zip', write_zip(entries))
        if isinstance(item, UploadResult)
    }
    hint = '; if it holds boxes, import it into a detection project'
    assert {name for name, reason in reasons.items() if reason.endswith(hint)} == set(entries) - {
        'README.txt',
        'weights.bin',
    }
    assert reasons['annotations/1.xml'] == f'is not an image (.xml){hint}'


def test_what_systems_leave_behind_and_strays_are_skipped_and_listed():
    entries = {
        '__MACOSX/rose/._1.jpg': b'x',
        'rose/.DS_Store': b'x',
        '.git/photo.jpg': PHOTO,
        'rose/Thumbs.db': b'x',
        'desktop.ini': b'x',
        'notes.txt': b'x',
        'labels.csv': b'x',
        'rose/1.jpg': PHOTO,
        'tulip/2.JPEG': PHOTO,
        'tulip/nosuffix': PHOTO,
    }
    items = list(read_upload('x.zip', write_zip(entries)))
    assert set(labels(items)) == {'rose/1.jpg', 'tulip/2.JPEG', 'tulip/nosuffix'}
    assert set(told(items)) == set(entries) - set(labels(items)) and set(told(items).values()) == {'skipped'}


@pytest.mark.parametrize(
    ('entry', 'code'),
    [
        ('voc/1.xml', 'annotation_file'),
        ('notes/boxes.pdf', 'not_an_image'),
        ('rose/.DS_Store', 'system_file'),
        ('rose/more.zip', 'archive'),
        ('../up.jpg', 'unsafe_path'),
    ],
)
def test_a_file_that_is_left_out_has_a_code_of_its_reason(entry, code):
    [item] = read_upload('x.zip', write_zip({entry: b'x'}))
    assert isinstance(item, UploadResult)
    assert item.code == code and code in CODES


@pytest.mark.django_db
def test_a_picture_of_another_kind_is_rejected_with_a_reason_rather_than_skipped(project):
    archive = write_zip({'a.tiff': b'II*\0' + bytes(64), 'b.heic': b'\0\0\0\x18ftypheic' + bytes(64)})
    results = add_images(project, None, read_upload('x.zip', archive))
    assert [result.outcome for result in results] == ['rejected', 'rejected']
    assert 'TIFF' in results[0].reason and 'HEIC' in results[1].reason
    assert {result.code for result in results} == {'invalid_image'}


def test_an_image_gives_itself():
    [item] = read_upload('photo.jpg', io.BytesIO(PHOTO))
    assert (item.name, item.label, item.size, item.read()) == ('photo.jpg', None, len(PHOTO), PHOTO)


@pytest.mark.parametrize(
    ('name', 'data'),
    [('x.zip', b'not a zip'), ('x.zip', b'PK\3\4torn'), ('x.rar', b'Rar!'), ('x.tar.gz', b'')],
)
def test_what_is_no_good_zip_gets_a_verdict_and_loses_no_other_file(name, data):
    items = list(read_files([(name, io.BytesIO(data)), ('photo.jpg', io.BytesIO(PHOTO))]))
    assert told(items) == {name: 'rejected'} and set(labels(items)) == {'photo.jpg'}


def test_an_empty_zip_gives_nothing():
    assert list(read_upload('x.zip', write_zip({}))) == []


def test_the_files_of_a_dropped_folder_are_labelled_by_their_paths():
    paths = ['flowers/rose/1.jpg', 'flowers/tulip/2.jpg', 'flowers/3.jpg', 'flowers/.DS_Store']
    items = list(read_files([(str(n), io.BytesIO(PHOTO)) for n in range(4)], paths=paths))
    assert labels(items) == {
        'flowers/rose/1.jpg': 'rose',
        'flowers/tulip/2.jpg': 'tulip',
        'flowers/3.jpg': None,
    }
    assert told(items) == {'flowers/.DS_Store': 'skipped'}


def test_a_drop_that_comes_in_parts_names_the_folder_around_the_whole():
    files, paths = [('1.jpg', io.BytesIO(PHOTO))], ['flowers/rose/1.jpg']
    assert labels(read_files(files, paths=paths, wrapper='flowers')) == {'flowers/rose/1.jpg': 'rose'}
    assert labels(read_files(files, paths=['rose/1.jpg'], wrapper='')) == {'rose/1.jpg': 'rose'}
    assert labels(read_files(files, paths=paths)) == {'flowers/rose/1.jpg': None}


def test_a_label_for_the_request_goes_to_files_whose_folder_names_none():
    archive = write_zip({'rose/1.jpg': PHOTO, 'loose.jpg': PHOTO})
    items = read_files([('x.zip', archive), ('photo.jpg', io.BytesIO(PHOTO))], label='weed')
    assert labels(items) == {'rose/1.jpg': 'rose', 'loose.jpg': 'weed', 'photo.jpg': 'weed'}


def test_paths_and_files_must_go_together():
    with pytest.raises(InvalidInputError):
        read_files([('a', io.BytesIO(PHOTO))], paths=['a', 'b'])


@pytest.mark.parametrize(
    ('paths', 'wrapper'),
    [
        ([], ''),
        (['a.jpg'], ''),
        (['x/a.jpg', 'x/b.jpg'], 'x'),
        (['x/y/a.jpg', 'x/z/b.jpg'], 'x'),
        (['x/y/a.jpg', 'x/y/z/b.jpg'], 'x/y'),
        (['x/a.jpg', '__MACOSX/x/a.jpg', 'README.txt'], 'x'),
    ],
)
def test_the_wrapper_is_what_all_images_lie_in(paths, wrapper):
    assert find_common_folder(paths) == wrapper


@pytest.mark.parametrize(
    ('path', 'wrapper', 'label'),
    [
        ('a.jpg', '', None),
        ('x/a.jpg', '', 'x'),
        ('x/y/a.jpg', '', 'x'),
        ('x/y/a.jpg', 'x', 'y'),
        ('x/a.jpg', 'x', None),
    ],
)
def test_the_label_is_the_first_folder_below_the_wrapper(path, wrapper, label):
    assert label_from_path(path, wrapper) == label


def test_a_folder_of_this_machine_reads_like_a_zip(tmp_path):
    for name in ('flowers/rose/1.jpg', 'flowers/tulip/2.jpg', 'flowers/.hidden/3.jpg', 'flowers/notes.txt'):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(PHOTO)
    (tmp_path / 'flowers' / 'rose' / 'link.jpg').symlink_to('/etc/passwd')
    (tmp_path / 'flowers' / 'linked').symlink_to('/etc')
    items = list(read_folder(tmp_path))
    assert labels(items) == {'flowers/rose/1.jpg': 'rose', 'flowers/tulip/2.jpg': 'tulip'}
    assert told(items) == {
        'flowers/.hidden/3.jpg': 'skipped',
        'flowers/notes.txt': 'skipped',
        'flowers/rose/link.jpg': 'rejected',
        'flowers/linked': 'rejected',
    }


@pytest.mark.shared
@pytest.mark.django_db
def test_a_zip_of_real_photos_labels_itself(project, shared):
    paths = sorted((shared / 'classification' / 'flower').glob('*/*.jpg'))[::10]
    archive = write_zip({f'flower/{path.parent.name}/{path.name}': path.read_bytes() for path in paths})
    results = add_images(project, None, read_upload('flower.zip', archive))
    assert [result.label for result in results] == [path.parent.name for path in paths]
    assert {result.outcome for result in results} == {'created'}
