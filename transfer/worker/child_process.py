"""A program that a worker keeps ready: it loads what a training needs, waits for the name of a queue, and runs its next job.

    python -m transfer.worker.child_process < queue name

A process for each training: its memory returns to the machine with its end, whatever kills it kills no worker, and a kill is
known at once and for certain. Its standard input stays open for as long as its worker lives.
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
    os.nice(10)  # the pages come first
    django.setup()
    if settings.WORKER_KEEPS_WARM:
        preload()
    queue = sys.stdin.readline().strip()
    if queue:  # otherwise the worker is gone
        threading.Thread(target=exit_with_worker, name='end with worker', daemon=True).start()
        run_next(queue)


def preload() -> None:
    """Torch takes 3 to 10 s to load: done before the first job needs it. What is wrong with it is the job's to tell."""
    try:
        import transfer.pipeline  # noqa: F401
    except ImportError:
        logger.exception('The learning side cannot be loaded')


def run_next(queue: str) -> None:
    from recognition.jobs.queue import claim_next  # needs Django's models
    from transfer.worker import execute

    job = claim_next(queue)
    if job:
        execute.run_attempt(job, when_hung=kill_process_group)


def exit_with_worker() -> None:
    sys.stdin.read()
    kill_process_group()


def kill_process_group() -> None:
    """At once: the job's row, its checkpoint and whoever looks next take care of the rest."""
    os.killpg(
        os.getpgrp(), signal.SIGKILL
    )  # and what it has forked: the worker made it the leader of a session


if __name__ == '__main__':
    main()
