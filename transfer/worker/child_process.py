"""The program of a worker's child processes: load torch, wait for the name of a queue, and run that queue's
next job.

    python -m transfer.worker.child_process < queue name

Each job gets its own process: its memory returns to the machine when it ends, whatever kills it does not kill
the worker, and the worker knows of a kill at once and for certain. Standard input stays open for as long as
the worker lives.
"""

from __future__ import annotations

import logging
import os
import signal
import sys
import threading

import django
from django.conf import settings

logger = logging.getLogger(__name__)


def main() -> None:
    os.nice(10)  # web processes come first
    django.setup()
    if settings.WORKER_PRELOAD:
        preload()
    queue = sys.stdin.readline().strip()
    if queue:  # otherwise the worker is gone
        threading.Thread(target=exit_with_worker, name='exit with worker', daemon=True).start()
        run_next(queue)


def preload() -> None:
    """Load torch before the first job needs it: 3 to 10 s. An error is left to the job, which reports it."""
    try:
        import transfer.pipeline  # noqa: F401  loaded for its side effect
    except ImportError:
        logger.exception('The learning side cannot be loaded')


def run_next(queue: str) -> None:
    from recognition.jobs.queue import claim_next  # needs Django's models
    from transfer.worker import execute

    job = claim_next(queue)
    if job:
        execute.run_attempt(job, on_hang=kill_process_group)


def exit_with_worker() -> None:
    sys.stdin.read()
    kill_process_group()


def kill_process_group() -> None:
    """End at once, with every forked process: the worker started this one as the leader of a session.

    The job's row, its checkpoint and the reaper take care of the rest.
    """
    os.killpg(os.getpgrp(), signal.SIGKILL)


if __name__ == '__main__':
    main()
