"""A worker's child processes: the one that runs its job, and one that is preloaded for the next."""

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
POLL_INTERVAL = 1.0  # seconds between two checks whether the running job was cancelled
STOP_TIMEOUT = 5.0  # seconds that a process has to exit by itself


class Runner:
    """Runs one job at a time. `run` is called by the task's thread only; the other methods by any."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._spare: subprocess.Popen[str] | None = None
        self._busy: subprocess.Popen[str] | None = None
        self._closed = False

    def preload(self) -> None:
        with self._lock:
            if not self._closed and (self._spare is None or self._spare.poll() is not None):
                # In a session of its own: what a training has forked is found by its group and killed with
                # it.
                self._spare = subprocess.Popen(
                    CHILD_COMMAND, stdin=subprocess.PIPE, text=True, start_new_session=True
                )

    def run(self, queue: str, is_cancelled: Callable[[int], bool]) -> int:
        """Run the queue's next job in a process. Returns its exit status, negative for a signal.

        A process whose job `is_cancelled` (called with its number) exits at its next progress report; one
        that is in a long native call is killed after STOP_TIMEOUT.
        """
        process = self._start(queue)
        if process is None:
            return 0
        status, cancelled_polls = None, 0
        while status is None:
            try:
                status = process.wait(POLL_INTERVAL)
            except subprocess.TimeoutExpired:
                cancelled_polls = cancelled_polls + 1 if is_cancelled(process.pid) else 0
                if cancelled_polls * POLL_INTERVAL > STOP_TIMEOUT:
                    process.kill()
        if status:
            logger.error('The process %s of a job exited with status %s', process.pid, status)
        _kill_group(process.pid)
        self._busy = None
        self.preload()
        return status

    def pids(self) -> list[int]:
        busy = self._busy
        return [] if busy is None else [busy.pid]

    def stop(self) -> None:
        """Start no more processes; the busy one has STOP_TIMEOUT seconds to exit by itself."""
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

    def _start(self, queue: str) -> subprocess.Popen[str] | None:
        """Send the queue's name to the preloaded process; None when this worker stops."""
        while True:
            self.preload()
            with self._lock:
                process, self._spare = self._spare, None
                if self._closed or process is None or process.stdin is None:
                    return None
                self._busy = process
            try:
                process.stdin.write(f'{queue}\n')
                process.stdin.flush()
            except BrokenPipeError:  # it died while it was waiting
                continue
            return process


def _kill_group(pid: int) -> None:
    """Kill what is left of a process's session. The system does not reuse its number while anything is
    left."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(pid, signal.SIGKILL)


runner = Runner()
