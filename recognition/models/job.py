"""A job: a background task's row. The row is the truth; a broker's message only wakes a worker.

    queued --claim--> running --> succeeded | failed | cancelled
       ^                 |
       +-----requeue-----+   (no heartbeat: the worker died)
    queued --cancel--> cancelled
    failed | cancelled --resubmit--> queued   (a source import, with its metadata corrected)

A worker takes the first job of its queue (`in_queue_order`), whichever job the message that woke it was sent
for. Every change is a compare-and-set on the state (and, from a worker, on the attempt), and adds a JobEvent.
So of two workers that received the same message one wins, and a worker that was thought dead cannot overwrite
its successor's results.
"""

from __future__ import annotations

import uuid
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db import models, transaction
from django.db.models import Case, F, OuterRef, Subquery, When, Window
from django.db.models.functions import RowNumber
from django.utils import timezone

from recognition.models.project import Project

WORKER_DIED = 'its worker died'  # the reason of the event when a job is requeued


class JobKind(models.TextChoices):
    """What a job does. The worker has one handler for each (transfer.worker.execute)."""

    CLASSIFICATION = 'classification', 'classifier training'
    DETECTION = 'detection', 'detector training'
    SIGNATURE = 'signature', 'signature computation'
    SOURCE_IMPORT = 'source_import', 'source model import'
    DETECTION_JOB = 'detection_job', 'detection job'


TRAININGS = (JobKind.CLASSIFICATION, JobKind.DETECTION)


class State(models.TextChoices):
    QUEUED = 'queued', 'Queued'
    RUNNING = 'running', 'Running'
    SUCCEEDED = 'succeeded', 'Succeeded'
    FAILED = 'failed', 'Failed'
    CANCELLED = 'cancelled', 'Cancelled'


ENDED = (State.SUCCEEDED, State.FAILED, State.CANCELLED)


class JobQuerySet(models.QuerySet['Job']):
    def ended(self) -> JobQuerySet:
        return self.filter(state__in=ENDED)

    def unfinished(self) -> JobQuerySet:
        return self.exclude(state__in=ENDED)

    def trainings(self) -> JobQuerySet:
        return self.filter(kind__in=TRAININGS)

    def without_heartbeat(self, seconds: float) -> JobQuerySet:
        """Running jobs whose last heartbeat is older than so many seconds."""
        return self.filter(state=State.RUNNING, heartbeat_at__lt=timezone.now() - timedelta(seconds=seconds))

    def in_queue_order(self, queue: str) -> JobQuerySet:
        """The queued jobs in the order in which workers will claim them.

        Interrupted jobs come first. Then users take turns, the one whose last job started longest ago first,
        so that one user's ten jobs do not delay another's single one.
        """
        same = {'created_by': OuterRef('created_by'), 'queue': OuterRef('queue')}
        started = Job.objects.filter(**same, started_at__isnull=False).order_by('-started_at')
        order = [F('created_at').asc(), F('id').asc()]
        return (
            self.filter(state=State.QUEUED, queue=queue, project__deleted_at=None)
            .annotate(
                is_new=Case(When(attempt=0, then=1), default=0),
                turn=Window(RowNumber(), partition_by=[F('created_by')], order_by=order),
                last_started=Subquery(started.values('started_at')[:1]),
            )
            .order_by('is_new', 'turn', F('last_started').asc(nulls_first=True), 'created_at', 'id')
        )


class Job(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(
        Project,
        models.CASCADE,
        null=True,
        blank=True,
        related_name='jobs',
        help_text='None for work on the zoo.',
    )
    kind = models.CharField(max_length=20, choices=JobKind.choices, default=JobKind.CLASSIFICATION)
    spec = models.JSONField(
        default=dict, help_text='The request as it was queued; of a training, its TrainSpec.'
    )
    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED, db_index=True)
    attempt = models.PositiveIntegerField(default=0, help_text='How often it was claimed.')
    queue = models.CharField(max_length=20, default='cpu')
    worker = models.CharField(max_length=120, blank=True)
    progress = models.JSONField(default=dict, blank=True, help_text='The last progress report.')
    curve = models.JSONField(default=list, blank=True, help_text='One entry an epoch: epoch, loss, accuracy.')
    result = models.JSONField(
        default=dict,
        blank=True,
        help_text=(
            'Of a detection job, the detections; of a source import, the source or the field to correct.'
        ),
    )
    cancel_requested = models.BooleanField(default=False)
    error_code = models.CharField(max_length=60, blank=True)
    error_message = models.TextField(blank=True)
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    message_sent_at = models.DateTimeField(
        null=True, blank=True, help_text='When a message was last sent for it.'
    )
    started_at = models.DateTimeField(null=True, blank=True)
    heartbeat_at = models.DateTimeField(null=True, blank=True)
    finished_at = models.DateTimeField(null=True, blank=True)

    objects = JobQuerySet.as_manager()

    class Meta:
        ordering = ['-created_at']

    def __str__(self) -> str:
        return f'{self.kind} {self.id} ({self.state})'

    def _change_state(
        self, old: State, new: State, reason: str, *, where: dict[str, Any] | None = None, **fields: object
    ) -> bool:
        """Compare-and-set, with its event. Returns False when the row is no longer in `old`, or does not
        match `where`."""
        with transaction.atomic():
            rows = Job.objects.filter(pk=self.pk, state=old, **(where or {}))
            if rows.update(state=new, **fields) != 1:
                return False
            JobEvent.objects.create(job=self, old=old, new=new, reason=reason)
        self.refresh_from_db()
        return True

    def claim(self, worker: str) -> bool:
        """Claim a queued job for a worker. Returns False when another worker was faster."""
        now = timezone.now()
        return self._change_state(
            State.QUEUED,
            State.RUNNING,
            f'claimed by {worker}',
            where={'attempt': self.attempt},
            attempt=models.F('attempt') + 1,
            worker=worker,
            started_at=now,
            heartbeat_at=now,
        )

    def write_heartbeat(self, attempt: int, **fields: object) -> bool:
        """Write the heartbeat of the worker that runs this attempt. Returns False when the job was taken from
        it."""
        rows = Job.objects.filter(pk=self.pk, state=State.RUNNING, attempt=attempt)
        return rows.update(heartbeat_at=timezone.now(), **fields) == 1

    def succeed(self, attempt: int, **fields: object) -> bool:
        where = {'attempt': attempt}
        return self._change_state(
            State.RUNNING, State.SUCCEEDED, 'done', where=where, finished_at=timezone.now(), **fields
        )

    def fail(self, attempt: int, code: str, message: str, **fields: object) -> bool:
        return self._change_state(
            State.RUNNING,
            State.FAILED,
            code,
            where={'attempt': attempt},
            finished_at=timezone.now(),
            error_code=code,
            error_message=message,
            **fields,
        )

    def stop(self, attempt: int) -> bool:
        """Mark the job as cancelled, when the worker that runs it has seen the request to cancel."""
        return self._change_state(
            State.RUNNING,
            State.CANCELLED,
            'cancelled',
            where={'attempt': attempt},
            finished_at=timezone.now(),
        )

    def cancel_queued(self) -> bool:
        """Cancel a job that no worker has claimed."""
        return self._change_state(
            State.QUEUED, State.CANCELLED, 'cancelled in the queue', finished_at=timezone.now()
        )

    def cancel(self) -> bool:
        """Cancel a queued job at once; ask the worker of a running one to stop. Returns False when the job
        has ended."""
        while not self.cancel_queued():
            requested = Job.objects.filter(pk=self.pk, state=State.RUNNING).update(cancel_requested=True)
            self.refresh_from_db()
            if requested:
                break
            if self.state in ENDED:
                return False
        return True

    def requeue(self, reason: str) -> bool:
        """Put a job whose worker is gone back into the queue; it resumes from its checkpoint.

        Returns False when the worker wrote a heartbeat since this row was read: it is alive.
        """
        unchanged = {'attempt': self.attempt, 'heartbeat_at': self.heartbeat_at}
        return self._change_state(
            State.RUNNING, State.QUEUED, reason, where=unchanged, worker='', message_sent_at=None
        )

    def count_worker_deaths(self) -> int:
        """Count the workers that died running it since it was last submitted."""
        resubmitted = self.events.filter(old__in=(State.FAILED, State.CANCELLED), new=State.QUEUED).last()
        return self.events.filter(
            reason=WORKER_DIED, id__gt=0 if resubmitted is None else resubmitted.pk
        ).count()

    def resubmit(self, reason: str, **fields: object) -> bool:
        """Queue a failed or cancelled job again, ahead of new ones. Returns False when it has not failed or
        been cancelled.

        The count of attempts goes on, so that a worker of an earlier attempt cannot write; worker deaths are
        counted anew.
        """
        if self.state not in (State.FAILED, State.CANCELLED):
            return False
        fields |= {
            'progress': {},
            'result': {},
            'cancel_requested': False,
            'error_code': '',
            'error_message': '',
            'worker': '',
        }
        fields |= {'message_sent_at': None, 'heartbeat_at': None, 'finished_at': None}
        return self._change_state(State(self.state), State.QUEUED, reason, where=None, **fields)


class JobEvent(models.Model):
    """One change of a job's state."""

    job = models.ForeignKey(Job, models.CASCADE, related_name='events')
    at = models.DateTimeField(auto_now_add=True)
    old = models.CharField(max_length=10, choices=State.choices, blank=True)
    new = models.CharField(max_length=10, choices=State.choices)
    reason = models.CharField(max_length=200, blank=True)

    class Meta:
        ordering = ['id']

    def __str__(self) -> str:
        return f'{self.old} -> {self.new}: {self.reason}'
