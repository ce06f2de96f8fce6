"""Files from outside are looked at in a process of its own: it may need torch, eat memory or never end; the web side must not."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable
from typing import Any

from django.conf import settings

from recognition.errors import InvalidInput

# The child gets neither SECRET_KEY nor any password of ours.
BARE = {'OMP_WAIT_POLICY': 'PASSIVE', 'PATH': '/usr/local/bin:/usr/bin:/bin'}


Heard = Callable[[dict[str, Any]], None]


def ask(
    module: str,
    request: dict[str, Any],
    *,
    seconds: float,
    networked: bool = False,
    heard: Heard = lambda told: None,
) -> dict[str, Any]:
    """Run `python -m module`, give it one JSON request, return its JSON answer: the last line that it writes. `heard` gets those
    before it, as they come.

    A networked child inherits the environment, where proxies are named. InvalidInput with the child's own reason when it
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
            env=None if networked else BARE,
        )
        late = threading.Event()
        answer = _talk(child, request, seconds, heard, late)
        if late.is_set():
            raise InvalidInput(f'It took longer than {seconds:.0f} seconds and was given up.')
        if child.returncode:
            complaints.seek(0)
            last = (complaints.read().strip().splitlines() or ['no word'])[-1]
            raise InvalidInput(f'The process that read it ended with {child.returncode}: {last[:200]}')
    if 'refused' in answer:
        raise InvalidInput(answer['refused'])
    return answer


def _talk(
    child: subprocess.Popen[str], request: dict[str, Any], seconds: float, heard: Heard, late: threading.Event
) -> dict[str, Any]:
    """The last line of the child, which has ended when this returns; `late` is set when it had to be killed."""

    def give_up() -> None:
        late.set()
        child.kill()

    watch = threading.Timer(seconds, give_up)
    watch.start()
    last = '{}'
    try:
        with child:
            assert child.stdin is not None and child.stdout is not None  # both are pipes
            with contextlib.suppress(BrokenPipeError):  # it died at once: ask() tells its last word
                child.stdin.write(json.dumps(request))
                child.stdin.close()
            for line in child.stdout:
                if last != '{}':
                    heard(json.loads(last))
                last = line
    except BaseException:
        child.kill()
        raise
    finally:
        watch.cancel()
    return dict(json.loads(last)) if child.returncode == 0 else {}
