"""Run one attempt at a job, from its claim to its end: in a worker's process, or in that of a command."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

from django.db import InterfaceError, OperationalError

from recognition import storage
from recognition.errors import GraftError
from recognition.jobs import queue
from recognition.models import Job
from recognition.models.job import JobKind
from transfer.spec.errors import JobCancelledError, TrainingError
from transfer.spec.report import Progress
from transfer.worker import heartbeat
from transfer.worker.jobs.attempt import Attempt, Handler
from transfer.worker.jobs.detect import detect
from transfer.worker.jobs.import_source import import_source
from transfer.worker.jobs.sign_source import sign_source
from transfer.worker.jobs.train import train

logger = logging.getLogger(__name__)

HANDLERS: dict[JobKind, Handler] = {
    JobKind.CLASSIFICATION: train,
    JobKind.DETECTION: train,
    JobKind.SIGNATURE: sign_source,
    JobKind.SOURCE_IMPORT: import_source,
    JobKind.DETECTION_JOB: detect,
}
PREDECESSOR_TIMEOUT = 30.0  # seconds that an attempt waits for the one before it, which was told to stop


class FolderLockedError(Exception):
    """The previous attempt still runs on this machine."""


class UnknownJobKindError(GraftError):
    code = 'unknown_job_kind'


def run_attempt(
    job: Job,
    *,
    handlers: Mapping[JobKind, Handler] = HANDLERS,
    on_progress: Callable[[Progress], None] | None = None,
    on_hang: Callable[[], None] = lambda: None,
) -> None:
    """Run the attempt that this process has claimed; the job's row holds how it ended.

    `on_progress` is called with every progress; `on_hang` when a job has reported none for HANG_TIMEOUT
    seconds and its heartbeat stops. Errors that no handler expects fail the job and are raised again, for the
    log.
    """
    number, report = job.attempt, heartbeat.JobReport(job, on_progress)
    try:
        with (
            heartbeat.keep_heartbeat(report, on_hang),
            lock_folder(storage.training_folder(job.pk), report) as folder,
        ):
            _find_handler(job.kind, handlers)(Attempt(job, number, report, folder))
    except JobCancelledError:
        if Job.objects.filter(pk=job.pk, cancel_requested=True).exists():
            job.stop(number)  # otherwise the job was taken from this process, and is not its to end
    except FolderLockedError:
        job.refresh_from_db()
        job.requeue('the previous attempt has not stopped')
    except (TrainingError, GraftError) as error:
        job.fail(number, error.code, error.message)
    except (OperationalError, InterfaceError):
        raise  # the database is away, and so is the heartbeat: the job will be requeued and resumed
    except Exception:
        reference = uuid.uuid4().hex[:8]
        logger.exception('Job %s failed; reference %s', job.pk, reference)
        message = f'Something went wrong inside Graft. The log has it under reference {reference}.'
        job.fail(number, 'internal', message)
        raise
    finally:
        if not Job.objects.unfinished().filter(pk=job.pk).exists():
            queue.delete_files(job)  # before that they are needed to resume


def _find_handler(kind: str, handlers: Mapping[JobKind, Handler]) -> Handler:
    try:
        return handlers[JobKind(kind)]
    except (ValueError, KeyError):
        raise UnknownJobKindError(
            f'This worker cannot run jobs of the kind "{kind}". If a newer version of Graft queued the job, '
            'update the worker and start the job again.'
        ) from None


@contextlib.contextmanager
def lock_folder(folder: Path, report: heartbeat.JobReport) -> Iterator[Path]:
    """Lock the job's folder, so that a worker that was suspended and given up never writes beside its
    successor.

    The operating system releases the lock when its holder dies, and only then. Errors: FolderLockedError
    after PREDECESSOR_TIMEOUT; JobCancelledError when the job is lost meanwhile.
    """
    with (folder / 'lock').open('w') as file:
        until = time.monotonic() + PREDECESSOR_TIMEOUT
        while not _try_lock(file.fileno()):
            if report.lost:
                raise JobCancelledError
            if time.monotonic() > until:
                raise FolderLockedError
            time.sleep(0.1)
        yield folder


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
