"""A worker's share of an evaluation: one cell of the matrix at a time, so that trainings get their turn in between.

The request lies in a file of the evaluation's folder, which all workers must reach. The command that began it takes the file
away at the end, whatever the end was, and with it the work.
"""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

from django.conf import settings

from recognition.celery import EVALUATE, app

logger = logging.getLogger(__name__)


def invite(request: Path, workers: int) -> None:
    """Ask so many workers to help with the evaluation whose request is in that file."""
    for _ in range(workers):
        app.send_task(EVALUATE, (str(request),), queue=settings.TRAINING_QUEUE)


def help_out(request: Path) -> None:
    """Fill one cell in a process of its own, and ring for the next; nothing where the evaluation is over."""
    if not request.is_file():
        return
    asked = json.dumps(json.loads(request.read_text()) | {'most': 1})
    command = [sys.executable, '-m', 'transfer.selection.benchmark.matrix']
    done = subprocess.run(command, input=asked, capture_output=True, text=True, cwd=settings.BASE_DIR)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if not lines or 'finished' not in lines[-1]:
        logger.warning('A cell of %s was not filled: %s', request.parent, lines[-1:] or done.stderr[-200:])
        return
    if any(line.get('seconds_left') is not None for line in lines):  # one was made, so there may be another
        invite(request, 1)
