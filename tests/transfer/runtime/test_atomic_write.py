"""A file or a folder is replaced as a whole, or stays as it was."""

from __future__ import annotations

import json
import os

import pytest

from transfer.runtime.atomic_write import replace_file, replace_folder, write_bytes, write_json, write_text


def test_a_file_is_replaced_and_nothing_is_left_beside_it(tmp_path):
    path = tmp_path / 'new' / 'folder' / 'values.json'
    write_json(path, {'step': 1})
    write_json(path, {'step': 2}, indent=1)
    assert json.loads(path.read_text()) == {'step': 2}
    assert path.read_text().endswith('\n')
    write_text(path, 'ä')
    assert path.read_bytes() == 'ä'.encode()
    write_bytes(path, b'\x00', sync=True)
    assert path.read_bytes() == b'\x00'
    assert [each.name for each in path.parent.iterdir()] == ['values.json']


def test_the_old_file_stays_when_writing_fails(tmp_path):
    path = tmp_path / 'folder' / 'values.json'
    write_text(path, 'old')
    with pytest.raises(OSError, match='no space'), replace_file(path) as aside:
        aside.write_text('half of the n')
        raise OSError('no space left')
    assert path.read_text() == 'old'
    assert list(path.parent.iterdir()) == [path]


def test_the_old_file_is_there_until_the_new_one_is_whole(tmp_path):
    path = tmp_path / 'values.json'
    write_text(path, 'old')
    with replace_file(path) as aside:
        aside.write_text('new')
        assert path.read_text() == 'old'
    assert path.read_text() == 'new'


def test_a_synchronised_file_is_flushed_before_it_gets_its_name(tmp_path, monkeypatch):
    path, seen = tmp_path / 'values.json', []
    monkeypatch.setattr(os, 'fsync', lambda descriptor: seen.append(path.exists()))
    write_text(path, 'new', sync=True)
    assert seen == [False]
    write_text(path, 'newer')
    assert seen == [False]


def test_a_folder_replaces_a_full_one(tmp_path):
    folder = tmp_path / 'models' / 'one'
    for files in ({'a': '1', 'b': '2'}, {'a': '3'}):
        with replace_folder(folder) as aside:
            for name, text in files.items():
                (aside / name).write_text(text)
    assert {path.name: path.read_text() for path in folder.iterdir()} == {'a': '3'}
    assert list(folder.parent.iterdir()) == [folder]


def test_the_old_folder_stays_when_filling_fails(tmp_path):
    folder = tmp_path / 'models' / 'one'
    with replace_folder(folder) as aside:
        (aside / 'a').write_text('1')
    with pytest.raises(ValueError, match='broken'), replace_folder(folder) as aside:
        (aside / 'b').write_text('2')
        raise ValueError('broken')
    assert [path.name for path in folder.iterdir()] == ['a']
    assert list(folder.parent.iterdir()) == [folder]
