"""Replace files and folders as a whole: a reader, or the process after a kill, finds the old one or the new
one.

Everything is written beside its destination, on the same file system, and renamed (POSIX rename is atomic).
Standard library only, so that every room may import it.
"""

from __future__ import annotations

import json
import os
import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any


@contextmanager
def replace_file(path: Path, *, sync: bool = False) -> Iterator[Path]:
    """Yield a path beside `path` to write to; rename it to `path` at the end, or delete it if an exception is
    raised.

    Missing parent folders are made. `sync`: flush the file to the disk first, for what must survive a power
    failure.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = _path_beside(path)
    try:
        yield aside
        if sync:
            with aside.open('rb') as file:
                os.fsync(file.fileno())
        os.replace(aside, path)
    finally:
        aside.unlink(missing_ok=True)


@contextmanager
def replace_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside `folder` to fill; rename it to `folder` at the end, or delete it on an
    exception.

    A folder cannot be renamed over one that is not empty: an earlier one is moved out of the way first, then
    deleted.
    """
    aside = _path_beside(folder)
    aside.mkdir(parents=True)
    try:
        yield aside
        old = _path_beside(folder)
        if folder.exists():
            folder.rename(old)
        aside.rename(folder)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)


def write_bytes(path: Path, data: bytes, *, sync: bool = False) -> None:
    """Write a whole file atomically."""
    with replace_file(path, sync=sync) as aside:
        aside.write_bytes(data)


def write_text(path: Path, text: str, *, sync: bool = False) -> None:
    """Write a whole file atomically, as UTF-8."""
    write_bytes(path, text.encode(), sync=sync)


def write_json(path: Path, values: Any, *, indent: int | None = None) -> None:
    """Write a value as a JSON file atomically; with `indent`, one that people read and that ends in a
    newline."""
    write_text(path, json.dumps(values, indent=indent) + ('' if indent is None else '\n'))


def _path_beside(path: Path) -> Path:
    """A name that nobody else uses; it begins with a dot and ends in `.part`, so that no search for files
    takes it for one."""
    return path.with_name(f'.{path.name}.{uuid.uuid4().hex}.part')
