"""The job queue: enqueue, claim and cancel jobs, requeue those whose worker died, and send lost messages
again.

No broker is trusted. A job is requeued when its process is dead on the machine where it ran (checked at once,
with the next message, the next start and the reaper's sweep every few seconds), when it wrote no heartbeat
for JOB_HEARTBEAT_TIMEOUT seconds (checked from any machine), and when its worker is asked to stop. Only
deaths count towards JOB_MAX_ATTEMPTS.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import DatabaseError, InterfaceError, connection, transaction
from django.db.models import Q
from django.utils import timezone
from kombu.exceptions import OperationalError

from recognition import audit, storage
from recognition.celery import RUN_JOB, app
from recognition.errors import ConflictError
from recognition.jobs import processes
from recognition.models import Job
from recognition.models.job import WORKER_DIED, JobKind, State

logger = logging.getLogger(__name__)

# Two queues that no worker serves: of jobs that a command runs itself, and of jobs whose files are still
# being stored.
LOCAL_QUEUE = 'local'
UPLOAD_QUEUE = 'uploading'
WORKER_STOPPED = 'its worker was stopped'
RESEND_AFTER = 30.0  # seconds after which a message that woke no worker is sent again


@dataclass(frozen=True)
class ReapCounts:
    """Numbers of jobs that a sweep changed."""

    requeued: int
    ended: int  # failed because they killed too many workers, or cancelled
    woken: int  # got another message


def enqueue(job: Job) -> None:
    """Send the job's message once this transaction is committed."""
    transaction.on_commit(partial(send_message, job))


def send_message(job: Job) -> None:
    """Wake a worker of the job's queue. A broker that cannot be reached loses nothing: workers poll the queue
    too."""
    try:
        app.send_task(RUN_JOB, (str(job.pk),), queue=job.queue)
    except OperationalError:
        logger.warning('The broker cannot be reached; job %s waits until a worker polls the queue', job.pk)
        return
    Job.objects.filter(pk=job.pk, state=State.QUEUED).update(message_sent_at=timezone.now())


def claim_next(queue: str) -> Job | None:
    """Claim the first job of the queue for this process; None when there is none."""
    while job := Job.objects.all().in_queue_order(queue).first():
        if claim(job):
            return job
    return None


def claim(job: Job) -> bool:
    """Claim a queued job for this process. Returns False when another worker was faster."""
    return job.claim(processes.make_process_name(os.getpid()))


def find_queue_position(job: Job) -> int:
    """Count the queued jobs that will be claimed before this one; 0 also for a job that is not queued."""
    waiting = Job.objects.all().in_queue_order(job.queue).values_list('pk', flat=True)
    return next((position for position, key in enumerate(waiting) if key == job.pk), 0)


def cancel(job: Job, user: AbstractBaseUser | None) -> Job:
    """Cancel a queued job at once; a running one stops within seconds, when its worker sees the request.

    Errors: ConflictError when it has ended.
    """
    if not try_cancel(job):
        raise ConflictError(f'This {job.get_kind_display()} has ended already.')
    audit.record(user, f'cancel {job.get_kind_display()}', str(job.pk))
    return job


def reap() -> ReapCounts:
    """Sweep over all jobs and queues once: `manage.py reapjobs`."""
    of_dead, of_silent = requeue_dead(), requeue_silent()
    requeued, ended = (sum(part) for part in zip(of_dead, of_silent, strict=True))
    queues = (
        Job.objects.filter(state=State.QUEUED)
        .exclude(queue__in=(LOCAL_QUEUE, UPLOAD_QUEUE))
        .order_by()
        .values_list('queue', flat=True)
        .distinct()
    )
    return ReapCounts(requeued, ended, wake(queues, RESEND_AFTER))


def requeue_dead() -> tuple[int, int]:
    """Requeue the jobs of this machine's dead processes. Returns how many were requeued, and how many
    ended."""
    rows = Job.objects.filter(state=State.RUNNING, worker__startswith=processes.local_prefix())
    return _requeue(job for job in rows if processes.is_dead(job.worker))


def requeue_silent() -> tuple[int, int]:
    """Requeue the jobs of any machine that wrote no heartbeat for too long. Returns as requeue_dead."""
    return _requeue(Job.objects.all().without_heartbeat(settings.JOB_HEARTBEAT_TIMEOUT))


def release(pids: Iterable[int]) -> None:
    """Requeue the jobs that these processes of this machine run, because their worker is asked to stop.

    The processes notice at their next heartbeat that they lost the job, and exit within a second or two.
    """
    for job in Job.objects.filter(
        state=State.RUNNING, worker__in=[processes.make_process_name(pid) for pid in pids]
    ):
        while not job.requeue(WORKER_STOPPED) and job.state == State.RUNNING:
            job.refresh_from_db()  # a heartbeat was written in between


def is_cancelled(pid: int) -> bool:
    """Whether this process of this machine runs a cancelled job; False when the database cannot be
    reached."""
    try:
        return Job.objects.filter(
            state=State.RUNNING, worker=processes.make_process_name(pid), cancel_requested=True
        ).exists()
    except (DatabaseError, InterfaceError):
        connection.close()
        return False


def wake(queues: Iterable[str], seconds: float) -> int:
    """Send one message to each of these queues in which jobs wait and for which none was sent for so many
    seconds.

    Returns how many messages were sent.
    """
    woken = 0
    for queue in queues:
        waiting = Job.objects.all().in_queue_order(queue)
        recent = Q(message_sent_at__gt=timezone.now() - timedelta(seconds=seconds))
        first = waiting.first()
        if first and not waiting.filter(recent).exists():
            send_message(first)
            woken += 1
    return woken


def try_cancel(job: Job) -> bool:
    """As `cancel`, without a user. Returns False when the job has ended."""
    if not job.cancel():
        return False
    if job.state == State.CANCELLED:
        delete_files(job)
    return True


def delete_files(job: Job) -> None:
    """Delete the checkpoints and images of a job that has ended."""
    storage.delete_training_folder(job.pk)
    if job.kind == JobKind.DETECTION_JOB:
        storage.delete_detection_images(job.pk)


def _requeue(jobs: Iterable[Job]) -> tuple[int, int]:
    """Returns how many jobs were requeued, and how many ended."""
    requeued = ended = 0
    for job in jobs:
        deaths = job.count_worker_deaths() + 1
        if job.cancel_requested:
            ended += job.stop(job.attempt)
        elif job.queue == LOCAL_QUEUE:
            ended += job.fail(
                job.attempt, 'interrupted', f'The command that ran this {job.get_kind_display()} was ended.'
            )
        elif deaths >= settings.JOB_MAX_ATTEMPTS:
            sentence = (
                f'The worker died {deaths} times during this {job.get_kind_display()} (out of memory?); '
                'it was not started again.'
            )
            ended += job.fail(job.attempt, 'worker_died', sentence)
        elif job.requeue(WORKER_DIED):
            requeued += 1
            enqueue(job)
        if job.state not in (State.QUEUED, State.RUNNING):
            delete_files(job)
    return requeued, ended
