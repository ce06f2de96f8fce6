"""What Celery calls."""

from __future__ import annotations

from pathlib import Path

from recognition.models import Job
from transfer.worker import recovery, shares
from transfer.worker.celery import EVALUATE, TRAIN, app
from transfer.worker.runner import runner


@app.task(name=TRAIN)
def train(job_id: str) -> None:
    """Run the next job of the queue for which this message was sent: `job_id` says which queue, and who rang."""
    rang = Job.objects.filter(pk=job_id).first()
    if rang is None:
        return
    if runner.run(rang.queue, recovery.is_unwanted) != 0:
        recovery.take_back_dead()
        recovery.wake([rang.queue], 0)


@app.task(name=EVALUATE)
def evaluate(request: str) -> None:
    """Fill one cell of an evaluation's matrix."""
    shares.help_out(Path(request))
