"""What Celery calls."""

from __future__ import annotations

from pathlib import Path

from recognition.celery import EVALUATE, TRAIN, app
from recognition.jobs import queue
from recognition.models import Job
from transfer.worker import benchmark_cells
from transfer.worker.runner import runner


@app.task(name=TRAIN)
def train(job_id: str) -> None:
    """Run the next job of the queue for which this message was sent: `job_id` says which queue, and who rang."""
    rang = Job.objects.filter(pk=job_id).first()
    if rang is None:
        return
    if runner.run(rang.queue, queue.is_cancelled) != 0:
        queue.requeue_dead()
        queue.wake([rang.queue], 0)


@app.task(name=EVALUATE)
def evaluate(request: str) -> None:
    """Fill one cell of an evaluation's matrix."""
    benchmark_cells.help_out(Path(request))
