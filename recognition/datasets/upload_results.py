"""An incoming file, and the result of its upload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal['created', 'duplicate', 'restored', 'rejected', 'skipped']
# Why a file was skipped or rejected, for programs; '' for the other outcomes. `reason` says it to people.
CODES = {
    'annotation_file': 'may hold boxes, which this upload does not read',
    'not_an_image': 'any other file that is not an image',
    'system_file': 'a file of the operating system',
    'archive': 'an archive that cannot be read, or an entry of one',
    'unsafe_path': 'its path leaves the archive or is too deep',
    'not_a_file': 'a link or a device',
    'invalid': 'its label cannot be one',
    'invalid_image': 'damaged, or not an image that can be used',
    'too_large': 'more bytes than allowed',
    'conflict': 'changed by someone else at this moment: send it again',
}


@dataclass(frozen=True)
class IncomingFile:
    name: str  # of the user's file, with its folders; shown, never used as a path
    read: Callable[[], bytes]  # may raise a GraftError: then the file is rejected with its message
    size: int  # bytes
    label: str | None  # the class that its folder names


@dataclass(frozen=True)
class UploadResult:
    """The result of one file."""

    name: str
    outcome: Outcome
    reason: str = ''
    image_id: str | None = None
    label: str | None = None
    code: str = ''  # a key of CODES
