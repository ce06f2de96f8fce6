"""Run a module in a subprocess, with a JSON request and a JSON answer.

Files from outside are read this way: that may need torch, a lot of memory, or never end, and the web process
must survive it.
"""

from __future__ import annotations

import contextlib
import json
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings

from recognition.errors import InvalidInputError

# The child gets neither SECRET_KEY nor any of our passwords.
CHILD_ENVIRONMENT = {'OMP_WAIT_POLICY': 'PASSIVE', 'PATH': '/usr/local/bin:/usr/bin:/bin'}
TICK = 0.5  # seconds between two calls of on_tick
PROGRESS_LINE = '{"progress"'

OnProgress = Callable[[dict[str, Any]], None]
Lines = queue.SimpleQueue[str | None]  # what the child writes; None at the end


def call(
    module: str,
    request: dict[str, Any],
    *,
    seconds: float,
    networked: bool = False,
    on_progress: OnProgress = lambda progress: None,
    on_tick: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run `python -m module`, give it one JSON request and return its JSON answer: the last line that it
    writes.

    Lines {"progress": ...} that it writes before are passed to `on_progress` as they come. `on_tick` is
    called twice a second. An exception from either ends the child. A networked child inherits the
    environment, where proxies are named.

    Errors: InvalidInputError with the child's own message when it answers with an error, and when it dies or
    takes longer than `seconds`.
    """
    with tempfile.TemporaryFile('w+', encoding='utf-8', errors='replace') as stderr:
        child = subprocess.Popen(
            [sys.executable, '-m', module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            encoding='utf-8',
            cwd=settings.BASE_DIR,
            env=None if networked else CHILD_ENVIRONMENT,
        )
        last = _read_until_exit(child, request, seconds, on_progress, on_tick)
        if child.returncode:
            stderr.seek(0)
            reason = (stderr.read().strip().splitlines() or ['it wrote no message'])[-1]
            raise InvalidInputError(
                f'The process that read the file ended with exit code {child.returncode}: {reason[:200]}'
            )
    answer = _parse_answer(last)
    if 'error' in answer:
        raise InvalidInputError(answer['error'], field=answer.get('field', ''))
    return answer


def _parse_answer(line: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        answer = json.loads(line)
        if isinstance(answer, dict) and 'progress' not in answer:
            return answer
    raise InvalidInputError('The process that read the file ended without an answer.')


def _read_until_exit(
    child: subprocess.Popen[str],
    request: dict[str, object],
    seconds: float,
    on_progress: OnProgress,
    on_tick: Callable[[], None],
) -> str:
    """Return the last line of the child, which has ended when this returns or raises.

    A thread writes to it and reads from it, because a pipe may block.
    """
    lines: Lines = queue.SimpleQueue()
    thread = threading.Thread(
        target=_exchange, args=(child, json.dumps(request), lines), name=f'pipes of {child.pid}', daemon=True
    )
    until, last = time.monotonic() + seconds, ''
    with child:
        thread.start()
        try:
            while (line := _read_line(lines, until, seconds, on_tick)) is not None:
                last = line
                if line.startswith(PROGRESS_LINE) and line.endswith('\n'):  # otherwise it died while it wrote
                    on_progress(json.loads(line)['progress'])
        except BaseException:
            child.kill()
            raise
        finally:
            thread.join()
    return last


def _read_line(lines: Lines, until: float, seconds: float, on_tick: Callable[[], None]) -> str | None:
    while (left := until - time.monotonic()) > 0:
        with contextlib.suppress(queue.Empty):
            return lines.get(timeout=min(TICK, left))
        on_tick()
    raise InvalidInputError(f'Reading the file took longer than {seconds:.0f} seconds and was stopped.')


def _exchange(child: subprocess.Popen[str], request: str, lines: Lines) -> None:
    assert child.stdin is not None and child.stdout is not None  # both are pipes
    try:
        with contextlib.suppress(BrokenPipeError):  # it died at once: call() reports its last line
            child.stdin.write(request)
            child.stdin.close()
        for line in child.stdout:
            lines.put(line)
        child.wait()  # one that has answered may still hang: its time runs on
    finally:
        lines.put(None)
