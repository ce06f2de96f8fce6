"""Files from outside are looked at in a process of its own: it may need torch, eat memory or never end; the web side must not."""

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

# The child gets neither SECRET_KEY nor any password of ours.
CHILD_ENVIRONMENT = {'OMP_WAIT_POLICY': 'PASSIVE', 'PATH': '/usr/local/bin:/usr/bin:/bin'}
LOOK_EVERY = 0.5  # seconds between two looks whether the answer is still wanted


OnProgress = Callable[[dict[str, Any]], None]
Lines = queue.SimpleQueue[str | None]  # what the child writes, and None at its end


def call(
    module: str,
    request: dict[str, Any],
    *,
    seconds: float,
    networked: bool = False,
    heard: OnProgress = lambda told: None,
    meanwhile: Callable[[], None] = lambda: None,
) -> dict[str, Any]:
    """Run `python -m module`, give it one JSON request, return its JSON answer: the last line that it writes. Before that it may
    write lines {"told": ...}: `heard` gets them as they come. `meanwhile` is called twice a second. What either raises ends the
    child.

    A networked child inherits the environment, where proxies are named. InvalidInputError with the child's own reason when it
    refuses, and when it dies or takes longer than `seconds`.
    """
    with tempfile.TemporaryFile('w+', encoding='utf-8', errors='replace') as complaints:
        child = subprocess.Popen(
            [sys.executable, '-m', module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            encoding='utf-8',
            cwd=settings.BASE_DIR,
            env=None if networked else CHILD_ENVIRONMENT,
        )
        last = _read_until_exit(child, request, seconds, heard, meanwhile)
        if child.returncode:
            complaints.seek(0)
            last_word = (complaints.read().strip().splitlines() or ['no word'])[-1]
            raise InvalidInputError(
                f'The process that read it ended with {child.returncode}: {last_word[:200]}'
            )
    answer = _parse_answer(last)
    if 'refused' in answer:
        raise InvalidInputError(answer['refused'], field=answer.get('field', ''))
    return answer


def _parse_answer(line: str) -> dict[str, Any]:
    with contextlib.suppress(ValueError):
        answer = json.loads(line)
        if isinstance(answer, dict) and 'told' not in answer:
            return answer
    raise InvalidInputError('The process that read it ended without an answer.')


def _read_until_exit(
    child: subprocess.Popen[str],
    request: dict[str, Any],
    seconds: float,
    heard: OnProgress,
    meanwhile: Callable[[], None],
) -> str:
    """The last line of the child, which has ended when this returns or raises. A thread talks to it: a pipe may block."""
    lines: Lines = queue.SimpleQueue()
    talk = threading.Thread(
        target=_exchange, args=(child, json.dumps(request), lines), name=f'talk with {child.pid}', daemon=True
    )
    until, last = time.monotonic() + seconds, ''
    with child:
        talk.start()
        try:
            while (line := _read_line(lines, until, seconds, meanwhile)) is not None:
                last = line
                if line.startswith('{"told"') and line.endswith('\n'):  # otherwise it died while it wrote
                    heard(json.loads(line)['told'])
        except BaseException:
            child.kill()
            raise
        finally:
            talk.join()
    return last


def _read_line(lines: Lines, until: float, seconds: float, meanwhile: Callable[[], None]) -> str | None:
    while (left := until - time.monotonic()) > 0:
        with contextlib.suppress(queue.Empty):
            return lines.get(timeout=min(LOOK_EVERY, left))
        meanwhile()
    raise InvalidInputError(f'It took longer than {seconds:.0f} seconds and was given up.')


def _exchange(child: subprocess.Popen[str], request: str, lines: Lines) -> None:
    assert child.stdin is not None and child.stdout is not None  # both are pipes
    try:
        with contextlib.suppress(BrokenPipeError):  # it died at once: call() tells its last word
            child.stdin.write(request)
            child.stdin.close()
        for line in child.stdout:
            lines.put(line)
        child.wait()  # one that has answered may still hang: its time runs on
    finally:
        lines.put(None)
