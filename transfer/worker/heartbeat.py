"""What a running training says of itself, written to its job's row: progress, curve, heartbeat, the instant model."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

from django.db import InterfaceError, OperationalError, connection

from recognition.models import Job
from recognition.models.project import Task
from recognition.training import results
from transfer.spec.errors import JobCancelledError
from transfer.spec.report import Progress, SealedModel

logger = logging.getLogger(__name__)

WRITE_INTERVAL = 1.0  # seconds between two writes of the progress: also how soon a request to cancel is seen
HEARTBEAT_INTERVAL = (
    5.0  # seconds between two heartbeats while the training says nothing (a long native call, an import)
)
HANG_TIMEOUT = 900.0  # seconds without a word after which a training is taken for hung and its heart stops


class JobReport:
    """The transfer.spec.report.Report of one attempt at a job. `watch` also hears of every progress (a terminal's bar)."""

    def __init__(self, job: Job, watch: Callable[[Progress], None] | None = None) -> None:
        self.job = job
        self.attempt = job.attempt
        self.curve: list[dict[str, Any]] = list(job.curve)
        self.watch = watch
        self.phase = ''
        self.lost = False
        self.spoke_at = time.monotonic()
        self.wrote_at = float('-inf')

    def progress(self, progress: Progress) -> None:
        self.spoke_at = time.monotonic()
        new_epoch = self._extend_curve(progress)
        if self.watch:
            self.watch(progress)
        if new_epoch or progress.phase != self.phase or self.spoke_at - self.wrote_at >= WRITE_INTERVAL:
            self.phase, self.wrote_at = progress.phase, self.spoke_at
            self.write_heartbeat(progress=dataclasses.asdict(progress), curve=self.curve)
        if self.lost:
            raise JobCancelledError

    def instant(self, model: SealedModel) -> None:
        self.spoke_at = time.monotonic()
        results.save_instant_model(self.job, self.attempt, model)

    def write_heartbeat(self, **fields: object) -> None:
        """Write, and learn whether the job is still wanted. A database that is away for a moment stops no training."""
        try:
            held = self.job.write_heartbeat(self.attempt, **fields)
            unwanted = Job.objects.filter(pk=self.job.pk, cancel_requested=True).exists()
        except (OperationalError, InterfaceError):
            logger.warning('The heartbeat of job %s could not be written', self.job.pk, exc_info=True)
            connection.close()
            return
        self.lost = self.lost or unwanted or not held

    def _extend_curve(self, progress: Progress) -> bool:
        """An epoch told again, after a resume, replaces what was told of it and of those behind it."""
        measured = progress.accuracy is not None
        if not progress.epoch or not (measured or self.job.kind == Task.DETECTION):
            return False
        if self.curve and self.curve[-1]['epoch'] == progress.epoch and self.phase == progress.phase:
            return False
        entry = {'epoch': progress.epoch, 'loss': progress.loss, 'accuracy': progress.accuracy}
        self.curve = [*(told for told in self.curve if told['epoch'] < progress.epoch), entry]
        return measured  # a detector's passes, told by their loss alone, may follow each other fast: the next write has them


@contextlib.contextmanager
def keep_heartbeat(report: JobReport, when_hung: Callable[[], None]) -> Iterator[None]:
    """Beat from a thread while the body runs and its training gives a word now and then."""
    stop = threading.Event()
    thread = threading.Thread(
        target=_run_heartbeat, args=(report, stop, when_hung), name=f'heartbeat {report.job.pk}', daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _run_heartbeat(report: JobReport, stop: threading.Event, when_hung: Callable[[], None]) -> None:
    try:
        while not stop.wait(HEARTBEAT_INTERVAL) and not report.lost:
            if time.monotonic() - report.spoke_at > HANG_TIMEOUT:
                logger.critical('Job %s hangs; its heart stops', report.job.pk)
                when_hung()
                return
            report.write_heartbeat()
    finally:
        connection.close()
