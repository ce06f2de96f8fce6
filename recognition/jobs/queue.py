"""Jobs whose worker died go back into the queue, and queued ones whose message was lost get another. No broker is trusted.

Three things find a dead worker: its number, on the machine where it ran (at once: the next message, the next start and the
sweep of every few seconds look), a heart that was silent for JOB_HEARTBEAT_TIMEOUT seconds (from anywhere), and a worker that is
asked to stop and gives back what its processes run. Only deaths count towards JOB_MAX_ATTEMPTS.
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

# Two queues that no worker serves: of jobs that a command runs itself, and of jobs whose files are still being stored.
LOCAL_QUEUE = 'local'
UPLOAD_QUEUE = 'uploading'
WORKER_STOPPED = 'its worker was stopped'
RESEND_AFTER = 30.0  # seconds after which a message that woke nobody is sent again


@dataclass(frozen=True)
class ReapCounts:
    """What a sweep did, in jobs."""

    taken_back: int  # to be resumed
    ended: int  # failed because they killed too many workers, or cancelled
    woken: int


def enqueue(job: Job) -> None:
    """Send the job's message once this transaction is committed."""
    transaction.on_commit(partial(send_message, job))


def send_message(job: Job) -> None:
    """Wake a worker of the job's queue. An unreachable broker loses nothing: workers look for queued jobs by themselves."""
    try:
        app.send_task(RUN_JOB, (str(job.pk),), queue=job.queue)
    except OperationalError:
        logger.warning('The broker cannot be reached; job %s waits for a worker to look', job.pk)
        return
    Job.objects.filter(pk=job.pk, state=State.QUEUED).update(message_sent_at=timezone.now())


def claim_next(queue: str) -> Job | None:
    """Claim the first job of the queue for this process; None when there is none."""
    while job := Job.objects.all().in_queue_order(queue).first():
        if claim(job):
            return job
    return None


def claim(job: Job) -> bool:
    """Claim a queued job for this process; the loser of a race gets False."""
    return job.claim(processes.make_process_name(os.getpid()))


def find_queue_position(job: Job) -> int:
    """How many queued jobs will be taken before this one; 0 also for a job that waits no longer."""
    line = Job.objects.all().in_queue_order(job.queue).values_list('pk', flat=True)
    return next((place for place, key in enumerate(line) if key == job.pk), 0)


def cancel(job: Job, user: AbstractBaseUser | None) -> Job:
    """End a queued job at once; a running one ends within seconds, when its worker sees the request.

    Errors: ConflictError when it has ended already.
    """
    if not try_cancel(job):
        raise ConflictError(f'This {job.get_kind_display()} has ended already.')
    audit.record(user, f'cancel {job.get_kind_display()}', str(job.pk))
    return job


def reap() -> ReapCounts:
    """One sweep over all jobs and queues, as `manage.py reapjobs` does it."""
    ended, taken_back = requeue_dead(), requeue_silent()
    counts = [sum(part) for part in zip(ended, taken_back, strict=True)]
    queues = (
        Job.objects.filter(state=State.QUEUED)
        .exclude(queue__in=(LOCAL_QUEUE, UPLOAD_QUEUE))
        .order_by()
        .values_list('queue', flat=True)
        .distinct()
    )
    return ReapCounts(counts[0], counts[1], wake(queues, RESEND_AFTER))


def requeue_dead() -> tuple[int, int]:
    """The jobs of processes that are known to be dead because they ran on this machine."""
    rows = Job.objects.filter(state=State.RUNNING, worker__startswith=processes.local_prefix())
    return _requeue(job for job in rows if processes.is_dead(job.worker))


def requeue_silent() -> tuple[int, int]:
    """The jobs of workers that nobody has heard of for too long, wherever they ran."""
    return _requeue(Job.objects.all().without_heartbeat(settings.JOB_HEARTBEAT_TIMEOUT))


def release(pids: Iterable[int]) -> None:
    """The jobs that these living processes of this machine run, because their worker is asked to stop.

    They learn from their next heartbeat that they lost the job, and leave within a second or two.
    """
    for job in Job.objects.filter(
        state=State.RUNNING, worker__in=[processes.make_process_name(pid) for pid in pids]
    ):
        while not job.requeue(WORKER_STOPPED) and job.state == State.RUNNING:
            job.refresh_from_db()  # a heartbeat came in between


def is_cancelled(pid: int) -> bool:
    """Whether this process of this machine runs a job that was cancelled. When the database is away nobody knows: False."""
    try:
        return Job.objects.filter(
            state=State.RUNNING, worker=processes.make_process_name(pid), cancel_requested=True
        ).exists()
    except (DatabaseError, InterfaceError):
        connection.close()
        return False


def wake(queues: Iterable[str], seconds: float) -> int:
    """Send one message into each of these queues where jobs wait and none was sent for that many seconds."""
    woken = 0
    for queue in queues:
        line = Job.objects.all().in_queue_order(queue)
        recent = Q(message_sent_at__gt=timezone.now() - timedelta(seconds=seconds))
        first = line.first()
        if first and not line.filter(recent).exists():
            send_message(first)
            woken += 1
    return woken


def try_cancel(job: Job) -> bool:
    """End a queued job at once, a running one within seconds, when its worker sees the request. False when it has ended."""
    if not job.cancel():
        return False
    if job.state == State.CANCELLED:
        delete_files(job)
    return True


def delete_files(job: Job) -> None:
    """What a job that has ended needs no more."""
    storage.delete_training_folder(job.pk)
    if job.kind == JobKind.DETECTION_JOB:
        storage.delete_detection_images(job.pk)


def _requeue(jobs: Iterable[Job]) -> tuple[int, int]:
    """(how many will be resumed, how many were ended)"""
    taken_back = ended = 0
    for job in jobs:
        deaths = job.count_worker_deaths() + 1
        if job.cancel_requested:
            ended += job.stop(job.attempt)
        elif job.queue == LOCAL_QUEUE:
            ended += job.fail(
                job.attempt, 'interrupted', f'The command that ran this {job.get_kind_display()} was ended.'
            )
        elif deaths >= settings.JOB_MAX_ATTEMPTS:
            sentence = f'The worker died {deaths} times at this {job.get_kind_display()} (out of memory?); it was given up.'
            ended += job.fail(job.attempt, 'worker_died', sentence)
        elif job.requeue(WORKER_DIED):
            taken_back += 1
            enqueue(job)
        if job.state not in (State.QUEUED, State.RUNNING):
            delete_files(job)
    return taken_back, ended
