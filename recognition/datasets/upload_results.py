"""An incoming file, and the result of its upload."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

Outcome = Literal['created', 'duplicate', 'restored', 'rejected', 'skipped']


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
