"""What a handler gets: one attempt at a job."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from recognition.models import Job
from transfer.spec.report import Report


@dataclass(frozen=True)
class Attempt:
    job: Job
    number: int  # of the attempt: a job that was taken from this worker has a higher one
    report: Report
    folder: Path  # for checkpoints; kept until the job ends


# Ends the job, or raises: JobCancelledError (also when the job is no longer this attempt's), TrainingError or
# GraftError (the job fails with its sentence).
Handler = Callable[[Attempt], None]
