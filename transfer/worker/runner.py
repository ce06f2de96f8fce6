"""A worker's processes: the one that runs its job, and one that is kept warm for the next."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable

logger = logging.getLogger(__name__)

CHILD_COMMAND = (sys.executable, '-m', 'transfer.worker.child_process')
POLL_INTERVAL = 1.0  # seconds between two looks whether the running job is still wanted
STOP_TIMEOUT = 5.0  # seconds to leave after being asked


class Runner:
    """One job at a time. `run` belongs to the task's thread; the rest may be called from any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spare: subprocess.Popen[str] | None = None
        self._busy: subprocess.Popen[str] | None = None
        self._closed = False

    def warm(self) -> None:
        with self._lock:
            if not self._closed and (self._spare is None or self._spare.poll() is not None):
                # A session of its own: what a killed training has forked is found by its group and ended with it.
                self._spare = subprocess.Popen(
                    CHILD_COMMAND, stdin=subprocess.PIPE, text=True, start_new_session=True
                )

    def run(self, queue: str, unwanted: Callable[[int], bool]) -> int:
        """Let a process run the queue's next job; its exit status, negative for a signal.

        A job that is `unwanted` leaves by itself at its next word; one that is in a long native call is killed.
        """
        process = self._take(queue)
        if process is None:
            return 0
        status, asked = None, 0
        while status is None:
            try:
                status = process.wait(POLL_INTERVAL)
            except subprocess.TimeoutExpired:
                asked = asked + 1 if unwanted(process.pid) else 0
                if asked * POLL_INTERVAL > STOP_TIMEOUT:
                    process.kill()
        if status:
            logger.error('The process %s of a job ended with status %s', process.pid, status)
        _kill_group(process.pid)
        self._busy = None
        self.warm()
        return status

    def pids(self) -> list[int]:
        busy = self._busy
        return [] if busy is None else [busy.pid]

    def stop(self) -> None:
        """No more processes; the one that is busy may leave by itself for a moment."""
        with self._lock:
            self._closed = True
            spare, busy = self._spare, self._busy
        if spare is not None:
            spare.kill()
        if busy is not None:
            try:
                busy.wait(STOP_TIMEOUT)
            except subprocess.TimeoutExpired:
                _kill_group(busy.pid)

    def _take(self, queue: str) -> subprocess.Popen[str] | None:
        """The warm process, now told its queue; None when this worker stops."""
        while True:
            self.warm()
            with self._lock:
                process, self._spare = self._spare, None
                if self._closed or process is None or process.stdin is None:
                    return None
                self._busy = process
            try:
                process.stdin.write(f'{queue}\n')
                process.stdin.flush()
            except BrokenPipeError:  # it died while it waited
                continue
            return process


def _kill_group(pid: int) -> None:
    """Whatever is left of a process's session. The system gives its number to nobody while there is something."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


runner = Runner()
