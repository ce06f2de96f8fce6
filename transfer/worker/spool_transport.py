"""A broker that needs no server: a folder with one file a message (`spool://`, a kombu transport for one
machine).

A message is written to a temporary file, flushed and renamed, so a reader never sees half of one; the name
begins with the time, so the oldest comes first. The reader that unlinks the file has the message: of two
readers one succeeds, and nothing is left to clean up when either dies. So a message is delivered at most
once. That is enough because a message only wakes a worker: the job's row is the truth, and the message of a
worker that died is sent again within seconds (recognition/jobs/queue.py).
"""

from __future__ import annotations

import contextlib
import logging
import re
import time
import uuid
from pathlib import Path
from queue import Empty
from typing import Any

from django.conf import settings
from kombu.transport import base, virtual
from kombu.utils.json import dumps, loads

from transfer.runtime.atomic_write import write_text

logger = logging.getLogger(__name__)

TEMPORARY_SUFFIX = '.part'  # of a message that is still being written (transfer/runtime/atomic_write.py)
TEMPORARY_FILE_LIFETIME = 3600  # seconds after which the writer of such a file must be dead


class Channel(virtual.Channel):
    @property
    def root(self) -> Path:
        return Path(self.connection.client.transport_options.get('folder') or settings.SPOOL_DIR)

    def _folder(self, queue: str) -> Path:
        """The queue's folder. Bytes that a file's name must not have are escaped."""
        return self.root / re.sub(r'[^\w.@-]|^\.', lambda match: f'%{ord(match[0]):02x}', queue)

    def _messages(self, queue: str) -> list[str]:
        try:
            return sorted(
                path.name for path in self._folder(queue).iterdir() if path.suffix != TEMPORARY_SUFFIX
            )
        except FileNotFoundError:
            return []

    def _new_queue(self, queue: str, **_: Any) -> None:
        folder = self._folder(queue)
        folder.mkdir(parents=True, exist_ok=True)
        for path in folder.glob(f'*{TEMPORARY_SUFFIX}'):
            # Another process deleted it, or its writer finished.
            with contextlib.suppress(FileNotFoundError):
                if time.time() - path.stat().st_mtime > TEMPORARY_FILE_LIFETIME:
                    path.unlink()

    def _has_queue(self, queue: str, **_: Any) -> bool:
        return self._folder(queue).is_dir()

    def _put(self, queue: str, message: dict[str, object], **_: Any) -> None:
        path = self._folder(queue) / f'{time.time_ns():020d}-{uuid.uuid4().hex}'
        write_text(path, dumps(message), sync=True)

    def _get(self, queue: str, timeout: float | None = None) -> dict[str, object]:
        for name in self._messages(queue):
            path = self._folder(queue) / name
            try:
                content = path.read_text()
                path.unlink()
            except FileNotFoundError:  # another reader was faster
                continue
            try:
                return dict(loads(content))
            except ValueError:
                logger.error('%s in the queue %s is not a message; it was deleted', name, queue)
        raise Empty

    def _size(self, queue: str) -> int:
        return len(self._messages(queue))

    def _purge(self, queue: str) -> int:
        return sum(1 for name in self._messages(queue) if self._remove(queue, name))

    def _remove(self, queue: str, name: str) -> bool:
        try:
            (self._folder(queue) / name).unlink()
        except FileNotFoundError:
            return False
        return True

    def _delete(self, queue: str, *args: Any, **_: Any) -> None:
        self._purge(queue)


class Transport(virtual.Transport):
    Channel = Channel
    driver_type = driver_name = 'spool'
    # A full or missing disk is a broker that cannot be reached.
    connection_errors = (*virtual.Transport.connection_errors, OSError)  # type: ignore[assignment]
    # Seconds; listing an empty folder so often costs well below one per cent of a core.
    polling_interval = 0.2
    # No fan-out: Celery then leaves out its remote control, which nothing here uses (cancelling goes through
    # the row).
    implements = base.Transport.implements.extend(exchange_type=frozenset(['direct']))

    @property
    def default_connection_params(self) -> dict[str, object]:
        return {}  # no host, no port

    def driver_version(self) -> str:
        return '1'
