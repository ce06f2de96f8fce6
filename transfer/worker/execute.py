"""One attempt at a job, from its claim to its end: in a worker's process, or in that of a command."""

from __future__ import annotations

import contextlib
import fcntl
import logging
import time
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

from django.db import InterfaceError, OperationalError

from recognition import storage
from recognition.datasets import manifests
from recognition.errors import GraftError
from recognition.jobs import queue as job_queue
from recognition.models import Job
from recognition.models.job import JobKind
from recognition.models.project import Task
from recognition.training import results
from transfer.data.manifests import DetectionManifest, Manifest
from transfer.spec.errors import JobCancelledError, TrainingError
from transfer.spec.report import Progress, Report, SealedModel
from transfer.spec.train_spec import TrainSpec
from transfer.worker import heartbeat
from transfer.worker.jobs import detect, import_source, sign_source

logger = logging.getLogger(__name__)

Train = Callable[[Manifest | DetectionManifest, TrainSpec, Path, Report, Path], SealedModel]

PREDECESSOR_TIMEOUT = 30.0  # seconds that an attempt waits for the one before it, told to leave, to do so


class FolderLockedError(Exception):
    """The attempt before this one still runs on this machine."""


def run_attempt(
    job: Job,
    *,
    train: Train | None = None,
    watch: Callable[[Progress], None] | None = None,
    when_hung: Callable[[], None] = lambda: None,
) -> None:
    """Run the attempt that this process has claimed; the job's row tells how it ended. Unforeseen errors are raised on.

    `train` stands in for transfer.pipeline.train; `watch` hears every progress; `when_hung` is called when the training says
    nothing for so long that its heart is stopped.
    """
    attempt, report = job.attempt, heartbeat.JobReport(job, watch)
    try:
        with (
            heartbeat.keep_heartbeat(report, when_hung),
            lock_folder(storage.training_folder(job.pk), report) as folder,
        ):
            if job.kind == JobKind.SIGNATURE:
                sign_source.sign(job, attempt, report, folder)
                return
            if job.kind == JobKind.SOURCE_IMPORT:
                import_source.add(job, attempt, report)
                return
            if job.kind == JobKind.DETECTION_JOB:
                detect.answer(job, attempt, report)
                return
            manifest, spec = _manifest(job), TrainSpec.from_json(job.spec)
            sealed = (train or _pipeline())(manifest, spec, folder, report, storage.cache_folder('training'))
            results.save_final_model(job, attempt, sealed)
    except JobCancelledError:
        if Job.objects.filter(pk=job.pk, cancel_requested=True).exists():
            job.stop(attempt)  # otherwise the job was taken from this process, and is not its to end
    except FolderLockedError:
        job.refresh_from_db()
        job.requeue('the attempt before has not left')
    except (TrainingError, GraftError) as error:
        job.fail(attempt, error.code, error.message)
    except (OperationalError, InterfaceError):
        raise  # the database is away: the heart is silent now, so the job will be taken back and resumed
    except Exception:
        reference = uuid.uuid4().hex[:8]
        logger.exception('Job %s failed; reference %s', job.pk, reference)
        job.fail(
            attempt,
            'internal',
            f'Something went wrong inside Graft. The log has it under reference {reference}.',
        )
        raise
    finally:
        _delete_files_if_ended(job)


def _manifest(job: Job) -> Manifest | DetectionManifest:
    assert job.project is not None
    return (
        manifests.build_detection_manifest(job.project)
        if job.kind == Task.DETECTION
        else manifests.build_manifest(job.project)
    )


def _pipeline() -> Train:
    from transfer.pipeline import train

    return train


def _delete_files_if_ended(job: Job) -> None:
    """Checkpoints, and photos to look at, are kept for as long as the job may resume."""
    if not Job.objects.unfinished().filter(pk=job.pk).exists():
        job_queue.delete_files(job)


@contextlib.contextmanager
def lock_folder(folder: Path, report: heartbeat.JobReport) -> Iterator[Path]:
    """Hold the training's folder. The system lets go of it at the holder's death, and only then, so even a worker that was
    stopped for minutes and given up by the others never writes beside its successor."""
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
