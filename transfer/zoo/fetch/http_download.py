"""Files over HTTP: what broke off goes on where it was, and what arrives is what its digest says, or it is thrown away."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import sys
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from transfer.spec.errors import UnusableSourceError

SILENCE = 10  # seconds without a byte after which the other side counts as unreachable
LARGEST = 4 * 2**30  # bytes; the largest that torchvision publishes is 2.5 GiB
LARGEST_TEXT = 2**22
BLOCK = 2**20
TRIES = 3  # connections in a row that may break before a person has to ask again
RANGE_IS_PAST_THE_END = 416

Broken = (urllib.error.URLError, http.client.HTTPException, OSError, ValueError)


Heard = Callable[[int, int], None]  # bytes that are here, bytes in all (0: nobody said)


def told_in_lines(fetched: int, total: int) -> None:
    """For a process that fetches on behalf of another one: how far it is, as a line of JSON."""
    sys.stdout.write(json.dumps({'progress': {'fetched': fetched, 'total': total}}) + '\n')
    sys.stdout.flush()


def nobody(fetched: int, total: int) -> None:
    """Hears nothing."""


def download(url: str, digest: str, target: Path, heard: Heard = nobody) -> None:
    """Fetch a file to `target.part`, go on there when a part is left from before, check the beginning of its SHA-256, rename it.

    UnusableSourceError in one line, else. After a broken connection the part stays, and the next call goes on; a file that is
    not the published one goes.
    """
    part = target.with_name(f'{target.name}.part')
    host = urllib.parse.urlsplit(url).netloc
    with part.open('ab') as file:
        _alone(file, target.name)
        _fetch(url, file, host, heard)
        found = _digest(part)
        if not found.startswith(digest):
            part.unlink()
            raise UnusableSourceError(
                f'what came from {host} is not the published file: its digest is {found[:8]}, not {digest[:8]}'
            )
        part.replace(target)


def check_free(source: str, taken: list[str]) -> None:
    """Before hundreds of megabytes are fetched."""
    if source in taken:
        raise UnusableSourceError(f'There is a source called {source} already')


def fetch_json(url: str) -> Any:
    """A small answer in JSON. UnusableSourceError in one line, else."""
    host = urllib.parse.urlsplit(url).netloc
    try:
        with urllib.request.urlopen(url, timeout=SILENCE) as answer:  # noqa: S310 the administrator's own setting
            return json.loads(answer.read(LARGEST_TEXT))
    except Broken as error:
        raise UnusableSourceError(
            f'{host} did not answer {urllib.parse.urlsplit(url).path} ({_reason(error)})'
        ) from error


def _alone(file: IO[bytes], name: str) -> None:
    """Two that write one part would spoil it. The lock ends with the process."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UnusableSourceError(f'{name} is being fetched by another process') from error


def _fetch(url: str, file: IO[bytes], host: str, heard: Heard) -> None:
    for attempt in range(1, TRIES + 1):
        try:
            _go_on(url, file, heard)
            return
        except Broken as error:
            gone = (
                isinstance(error, urllib.error.HTTPError) and error.code < 500
            )  # it will not be there a second later
            if attempt == TRIES or gone:
                raise UnusableSourceError(_told(host, error, file)) from error


def _told(host: str, error: Exception, file: IO[bytes]) -> str:
    """One line for the person; an empty part is not kept."""
    file.flush()
    part = Path(file.name)
    size = part.stat().st_size
    if not size:
        part.unlink()
        return f'{host} did not give the weights ({_reason(error)}); nothing was changed'
    return f'{host} broke off ({_reason(error)}); {size / 2**20:.0f} MiB are kept: the same command goes on from there'


def _reason(error: Exception) -> object:
    return getattr(error, 'reason', None) or error


def _go_on(url: str, file: IO[bytes], heard: Heard) -> None:
    """Append what is missing. A server that knows no ranges sends it all again."""
    have = file.seek(0, 2)
    request = urllib.request.Request(url, headers={'Range': f'bytes={have}-'} if have else {})  # noqa: S310 the administrator's own setting
    try:
        answer = urllib.request.urlopen(request, timeout=SILENCE)  # noqa: S310 the same
    except urllib.error.HTTPError as error:
        if error.code == RANGE_IS_PAST_THE_END and have:
            return  # it is whole, or another file by now: the digest tells
        raise
    with answer:
        if answer.status != http.HTTPStatus.PARTIAL_CONTENT or not _begins_at(answer, have):
            file.truncate(0)
            have = 0
        length = answer.headers.get('Content-Length')
        total = have + int(length) if length is not None else 0
        _copy(answer, file, have, lambda fetched: heard(fetched, total))
        file.flush()
        if total and file.seek(0, 2) != total:
            raise OSError('the connection was closed before the end')


def _begins_at(answer: Any, place: int) -> bool:
    return str(answer.headers.get('Content-Range', '')).startswith(f'bytes {place}-')


def _copy(source: Any, target: IO[bytes], have: int, heard: Callable[[int], None]) -> None:
    size = have
    while block := source.read(BLOCK):
        size += len(block)
        if size > LARGEST:
            target.truncate(0)
            raise ValueError(f'it is larger than {LARGEST >> 30} GiB')
        target.write(block)
        heard(size)


def _digest(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
