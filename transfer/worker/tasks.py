"""What Celery calls. Both tasks run their work in a process of its own."""

from __future__ import annotations

import json
import logging
import subprocess
import sys
from pathlib import Path

from django.conf import settings

from recognition.celery import RUN_BENCHMARK_CELL, RUN_JOB, app
from recognition.jobs import queue
from recognition.models import Job
from recognition.zoo import benchmark
from transfer.worker.runner import runner

logger = logging.getLogger(__name__)


@app.task(name=RUN_JOB)
def run_job(job_id: str) -> None:
    """Run the next job of the queue of `job_id`, which need not be that job: a message only wakes a
    worker."""
    sent_for = Job.objects.filter(pk=job_id).first()
    if sent_for is None:
        return
    if runner.run(sent_for.queue, queue.is_cancelled) != 0:
        queue.requeue_dead()
        queue.wake([sent_for.queue], 0)


@app.task(name=RUN_BENCHMARK_CELL)
def run_benchmark_cell(request: str) -> None:
    """Fill one cell of a benchmark's matrix, then send a message for the next; nothing when the benchmark has
    ended.

    One cell at a time, so that trainings get their turn in between. `request`: the path of a file in the
    benchmark's folder, which all workers must reach; the command that started the benchmark deletes it at the
    end.
    """
    path = Path(request)
    if not path.is_file():
        return
    options = json.dumps(json.loads(path.read_text()) | {'most': 1})
    command = [sys.executable, '-m', 'transfer.selection.benchmark.matrix']
    done = subprocess.run(command, input=options, capture_output=True, text=True, cwd=settings.BASE_DIR)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    if not lines or 'finished' not in lines[-1]:
        logger.warning('A cell of %s was not filled: %s', path.parent, lines[-1:] or done.stderr[-200:])
        return
    if any(line.get('seconds_left') is not None for line in lines):  # one was filled, so there may be another
        benchmark.send_cell_messages(path, 1)
