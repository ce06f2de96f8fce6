"""Files from outside are looked at in a process of its own: it may need torch, eat memory or never end; the web side must not."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

from django.conf import settings

from recognition.errors import InvalidInput

# The child gets neither SECRET_KEY nor any password of ours.
BARE = {'OMP_WAIT_POLICY': 'PASSIVE', 'PATH': '/usr/local/bin:/usr/bin:/bin'}


def ask(module: str, request: dict[str, Any], *, seconds: float, networked: bool = False) -> dict[str, Any]:
    """Run `python -m module`, give it one JSON request, return its JSON answer.

    A networked child inherits the environment, where proxies are named. InvalidInput with the child's own reason when it
    refuses, and when it dies or takes longer than `seconds`.
    """
    try:
        finished = subprocess.run(
            [sys.executable, '-m', module],
            input=json.dumps(request),
            capture_output=True,
            text=True,
            timeout=seconds,
            cwd=settings.BASE_DIR,
            env=None if networked else BARE,
        )
    except subprocess.TimeoutExpired as error:
        raise InvalidInput(f'It took longer than {seconds:.0f} seconds and was given up.') from error
    if finished.returncode:
        last = (finished.stderr.strip().splitlines() or ['no word'])[-1]
        raise InvalidInput(f'The process that read it ended with {finished.returncode}: {last[:200]}')
    answer: dict[str, Any] = json.loads(finished.stdout)
    if 'refused' in answer:
        raise InvalidInput(answer['refused'])
    return answer
