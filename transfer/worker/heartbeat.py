"""Write what a running job reports to its row: progress, learning curve, heartbeat, the instant model."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Iterator

from django.db import InterfaceError, OperationalError, connection

from recognition.models import Job
from recognition.models.project import Task
from recognition.training import results
from transfer.spec.errors import JobCancelledError
from transfer.spec.records import from_json
from transfer.spec.report import EpochMetrics, Progress, SealedModel

logger = logging.getLogger(__name__)

WRITE_INTERVAL = 1.0  # seconds between two writes of the progress: also how soon a request to cancel is seen
HEARTBEAT_INTERVAL = (
    5.0  # seconds between two heartbeats while the job reports nothing (a long native call, an import)
)
HANG_TIMEOUT = 900.0  # seconds without a report after which a job counts as hung and its heartbeat stops


class JobReport:
    """The transfer.spec.report.Report of one attempt at a job. `on_progress` also gets every progress (a
    terminal's bar)."""

    def __init__(self, job: Job, on_progress: Callable[[Progress], None] | None = None) -> None:
        self.job = job
        self.attempt = job.attempt
        self.curve = [from_json(EpochMetrics, epoch) for epoch in job.curve]
        self.on_progress = on_progress
        self.phase = ''
        self.lost = False
        self.reported_at = time.monotonic()
        self.written_at = float('-inf')

    def progress(self, progress: Progress) -> None:
        self.reported_at = time.monotonic()
        new_epoch = self._extend_curve(progress)
        if self.on_progress:
            self.on_progress(progress)
        if new_epoch or progress.phase != self.phase or self.reported_at - self.written_at >= WRITE_INTERVAL:
            self.phase, self.written_at = progress.phase, self.reported_at
            self.write_heartbeat(
                progress=dataclasses.asdict(progress), curve=[epoch.to_json() for epoch in self.curve]
            )
        if self.lost:
            raise JobCancelledError

    def instant(self, model: SealedModel) -> None:
        self.reported_at = time.monotonic()
        results.save_instant_model(self.job, self.attempt, model)

    def write_heartbeat(self, **fields: object) -> None:
        """Write the fields, and notice that the job was cancelled or taken away (`lost`). A database that
        cannot be reached for a moment stops no training."""
        try:
            held = self.job.write_heartbeat(self.attempt, **fields)
            unwanted = Job.objects.filter(pk=self.job.pk, cancel_requested=True).exists()
        except (OperationalError, InterfaceError):
            logger.warning('The heartbeat of job %s could not be written', self.job.pk, exc_info=True)
            connection.close()
            return
        self.lost = self.lost or unwanted or not held

    def _extend_curve(self, progress: Progress) -> bool:
        """Add an epoch to the curve; one that is reported again, after a resume, replaces itself and those
        behind it.

        Returns whether it must be written now: a detector's epochs, known by their loss alone, may follow
        each other fast, and wait for the next write.
        """
        measured = progress.accuracy is not None
        if not progress.epoch or not (measured or self.job.kind == Task.DETECTION):
            return False
        if self.curve and self.curve[-1].epoch == progress.epoch and self.phase == progress.phase:
            return False
        entry = EpochMetrics(progress.epoch, progress.loss, progress.accuracy)
        self.curve = [*(epoch for epoch in self.curve if epoch.epoch < progress.epoch), entry]
        return measured


@contextlib.contextmanager
def keep_heartbeat(report: JobReport, on_hang: Callable[[], None]) -> Iterator[None]:
    """Write heartbeats from a thread while the body runs, as long as its job reports progress now and
    then."""
    stop = threading.Event()
    thread = threading.Thread(
        target=_run_heartbeat, args=(report, stop, on_hang), name=f'heartbeat {report.job.pk}', daemon=True
    )
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def _run_heartbeat(report: JobReport, stop: threading.Event, on_hang: Callable[[], None]) -> None:
    try:
        while not stop.wait(HEARTBEAT_INTERVAL) and not report.lost:
            if time.monotonic() - report.reported_at > HANG_TIMEOUT:
                logger.critical(
                    'Job %s hangs: it reported nothing for %.0f s. Its heartbeat stops',
                    report.job.pk,
                    HANG_TIMEOUT,
                )
                on_hang()
                return
            report.write_heartbeat()
    finally:
        connection.close()
