"""Download files over HTTP: an interrupted download is resumed, and a file with another digest than expected
is deleted."""

from __future__ import annotations

import fcntl
import hashlib
import http.client
import json
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from transfer.spec.errors import UnusableSourceError
from transfer.zoo.fetch.json_process import write_progress

TIMEOUT = 10  # seconds without a byte after which the server counts as unreachable
MAX_BYTES = 4 * 2**30  # bytes; the largest that torchvision publishes is 2.5 GiB
MAX_JSON_BYTES = 2**22
BLOCK = 2**20
ATTEMPTS = 3  # connections in a row that may break before a person has to try again
RANGE_IS_PAST_THE_END = 416

CONNECTION_ERRORS = (urllib.error.URLError, http.client.HTTPException, OSError, ValueError)


# Gets the bytes that are here, and bytes in all (0: the server did not say).
OnBytes = Callable[[int, int], None]


def write_bytes_progress(fetched: int, total: int) -> None:
    """Report a download to the process that asked for it."""
    write_progress(fetched=fetched, total=total)


def ignore_progress(fetched: int, total: int) -> None:
    """Do nothing."""


def download(url: str, digest: str, target: Path, on_bytes: OnBytes = ignore_progress) -> None:
    """Download to `target.part`, resuming a part that is left from before; check its SHA-256 and rename it.

    digest: the beginning of the SHA-256, in hexadecimal. UnusableSourceError, with a message of one line,
    where that fails: after a broken connection the part stays, and the next call resumes it; a file with
    another digest is deleted.
    """
    part = target.with_name(f'{target.name}.part')
    host = urllib.parse.urlsplit(url).netloc
    with part.open('ab') as file:
        _lock(file, target.name)
        _fetch_with_retries(url, file, host, on_bytes)
        found = _digest(part)
        if not found.startswith(digest):
            part.unlink()
            raise UnusableSourceError(
                f'what came from {host} is not the published file: its digest is '
                f'{found[:8]}, not {digest[:8]}'
            )
        part.replace(target)


def check_name_is_free(source: str, taken: list[str]) -> None:
    """Refuse a name that is taken, before hundreds of megabytes are fetched. UnusableSourceError."""
    if source in taken:
        raise UnusableSourceError(f'There is a source called {source} already')


def fetch_json(url: str) -> Any:
    """Fetch a small JSON document. UnusableSourceError with a message of one line where that fails."""
    host = urllib.parse.urlsplit(url).netloc
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:  # noqa: S310 the same
            return json.loads(answer.read(MAX_JSON_BYTES))
    except CONNECTION_ERRORS as error:
        raise UnusableSourceError(
            f'{host} did not answer {urllib.parse.urlsplit(url).path} ({_describe_cause(error)})'
        ) from error


def _lock(file: IO[bytes], name: str) -> None:
    """Lock the part against other processes that would write to it; the lock ends with this process."""
    try:
        fcntl.flock(file.fileno(), fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise UnusableSourceError(f'{name} is being fetched by another process') from error


def _fetch_with_retries(url: str, file: IO[bytes], host: str, on_bytes: OnBytes) -> None:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            _resume(url, file, on_bytes)
            return
        except CONNECTION_ERRORS as error:
            # it will not be there a second later
            gone = isinstance(error, urllib.error.HTTPError) and error.code < 500
            if attempt == ATTEMPTS or gone:
                raise UnusableSourceError(_describe_failure(host, error, file)) from error


def _describe_failure(host: str, error: Exception, file: IO[bytes]) -> str:
    """One line for the user; an empty part is deleted."""
    file.flush()
    part = Path(file.name)
    size = part.stat().st_size
    if not size:
        part.unlink()
        return f'{host} did not give the weights ({_describe_cause(error)}); nothing was changed'
    return (
        f'{host} broke off ({_describe_cause(error)}); {size / 2**20:.0f} MiB are kept: '
        'the same command goes on from there'
    )


def _describe_cause(error: Exception) -> object:
    return getattr(error, 'reason', None) or error


def _resume(url: str, file: IO[bytes], on_bytes: OnBytes) -> None:
    """Append the missing bytes. A server without support for ranges sends the whole file again."""
    have = file.seek(0, 2)
    headers = {'Range': f'bytes={have}-'} if have else {}
    request = urllib.request.Request(url, headers=headers)  # noqa: S310 the administrator's own setting
    try:
        answer = urllib.request.urlopen(request, timeout=TIMEOUT)  # noqa: S310 the same
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
        _copy(answer, file, have, lambda fetched: on_bytes(fetched, total))
        file.flush()
        if total and file.seek(0, 2) != total:
            raise OSError('the connection was closed before the end')


def _begins_at(answer: Any, place: int) -> bool:
    return str(answer.headers.get('Content-Range', '')).startswith(f'bytes {place}-')


def _copy(source: Any, target: IO[bytes], have: int, on_bytes: Callable[[int], None]) -> None:
    size = have
    while block := source.read(BLOCK):
        size += len(block)
        if size > MAX_BYTES:
            target.truncate(0)
            raise ValueError(f'it is larger than {MAX_BYTES >> 30} GiB')
        target.write(block)
        on_bytes(size)


def _digest(path: Path) -> str:
    with path.open('rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()
