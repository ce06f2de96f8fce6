"""Zip archives for tests, honest and otherwise."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping


def write_zip(entries: Mapping[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> io.BytesIO:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, 'w', method) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    buffer.seek(0)
    return buffer


def replace_bytes(archive: io.BytesIO, old: bytes, new: bytes) -> io.BytesIO:
    """The same archive with bytes replaced, in its directory and its entries alike."""
    data = archive.getvalue()
    assert old in data and len(old) == len(new)
    return io.BytesIO(data.replace(old, new))
