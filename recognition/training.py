"""Trainings: what a project lacks for one, starting and cancelling it, and its place in the queue."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import Count, Q

from recognition import annotating, audit, zoo
from recognition.errors import Conflict, InvalidInput, NotReady, QueueFull
from recognition.learned import learned
from recognition.models import Job, Project
from recognition.models.job import State
from recognition.models.project import Task
from transfer.spec import InvalidSpec, Progress, TrainSpec
from transfer.worker import doorway
from transfer.worker.recovery import HERE, Reaped, call_off, enqueue, reap

__all__ = ['Readiness', 'Reaped', 'cancel', 'enqueue', 'place_in_queue', 'readiness', 'reap', 'run_here', 'start', 'start_here']

LEAST_CLASSES = 2
LEAST_IMAGES = 4  # of each of those: with fewer no fold of a cross-validation says anything
LEAST_BOXES = 5  # of one class, and as many images with boxes: with fewer no split leaves any to test with
FIXED = (
    'sources',
    'reference',
    'divergence',
    'weights',
    'forecast',
    'task',
)  # of a TrainSpec: given by the zoo and the project, not by who asks


@dataclass(frozen=True)
class Readiness:
    """Whether a project can be trained; `missing` holds a sentence for each thing that it lacks."""

    ready: bool
    missing: tuple[str, ...]


def readiness(project: Project) -> Readiness:
    """Two classes with enough images make a classifier, one with enough boxes a detector.

    A further class that is still small holds nothing up: the report tells of it.
    """
    return _enough_boxes(project) if project.task == Task.DETECTION else _enough_images(project)


def _enough_boxes(project: Project) -> Readiness:
    counts = annotating.trainable(project)
    progress = annotating.progress(project)
    with_boxes = progress.labelled - progress.nothing
    missing = []
    if with_boxes < LEAST_BOXES:
        missing.append(f'Draw boxes on at least {LEAST_BOXES} photos; there are boxes on {with_boxes or "none"} so far.')
    largest = max((boxes for boxes, photos in counts.values() if photos > 1), default=0)
    if counts and largest < LEAST_BOXES:
        missing.append(f'Draw at least {LEAST_BOXES} boxes of one class, on two photos or more; the largest has {largest}.')
    return Readiness(not missing, tuple(missing))


def _enough_images(project: Project) -> Readiness:
    present = Count('images', filter=Q(images__deleted_at=None))
    counts = dict(project.labels.annotate(present=present).filter(present__gt=0).values_list('name', 'present'))
    small = {name: count for name, count in counts.items() if count < LEAST_IMAGES}
    if len(counts) - len(small) >= LEAST_CLASSES:
        return Readiness(True, ())
    missing = [f'The class {name!r} has {count} of the {LEAST_IMAGES} images that it needs.' for name, count in small.items()]
    if len(counts) < LEAST_CLASSES:
        missing.insert(0, f'Label images of at least {LEAST_CLASSES} classes; there is {len(counts) or "none"} so far.')
    return Readiness(False, tuple(missing))


def start(project: Project, user: AbstractBaseUser, options: dict[str, Any]) -> Job:
    """Queue a training. `options` are fields of a TrainSpec, all of them optional.

    Errors: NotReady (naming what is missing), InvalidInput (naming the option), QueueFull.
    """
    with transaction.atomic():
        job = _create(project, user, options)
        enqueue(job)
    return job


def start_here(project: Project, user: AbstractBaseUser, options: dict[str, Any]) -> Job:
    """A training that no worker takes, for `run_here`. Errors: as `start`."""
    return _create(project, user, options, queue=HERE)


def run_here(job: Job, watch: Callable[[Progress], None] | None = None) -> Job:
    """Run a queued job in this process, through the worker's own doorway; the job's row tells how it ended."""
    if not doorway.claim(job):
        raise Conflict('A worker has taken this training already.')
    doorway.run(job, watch=watch)
    job.refresh_from_db()
    return job


def cancel(job: Job, user: AbstractBaseUser | None) -> Job:
    """End a queued job at once; a running one ends within seconds, when its worker sees the request.

    Errors: Conflict when it has ended already.
    """
    if not call_off(job):
        raise Conflict(f'This {job.called} has ended already.')
    audit.record(user, f'cancel {job.called}', str(job.pk))
    return job


def place_in_queue(job: Job) -> int:
    """How many queued jobs will be taken before this one; 0 also for a job that waits no longer."""
    line = Job.objects.all().in_line(job.queue).values_list('pk', flat=True)
    return next((place for place, key in enumerate(line) if key == job.pk), 0)


def _create(project: Project, user: AbstractBaseUser, options: dict[str, Any], queue: str = '') -> Job:
    state = readiness(project)
    if not state.ready:
        raise NotReady(' '.join(state.missing))
    spec = _freeze(project, user, options)
    waiting = Job.objects.all().trainings().filter(created_by_id=user.pk, state=State.QUEUED).count()
    if waiting >= settings.JOBS_WAITING_PER_PERSON:
        raise QueueFull(f'{waiting} of your trainings are waiting already; cancel one, or come back when one has begun.')
    where = queue or {'cuda': 'gpu', 'cpu': 'cpu', 'auto': settings.TRAINING_QUEUE}[spec.device]
    job = Job.objects.create(project=project, kind=project.task, spec=spec.to_json(), queue=where, created_by_id=user.pk)
    audit.record(user, 'start training', f'{job.pk} of project {project.pk}')
    return job


def _freeze(project: Project, user: AbstractBaseUser, options: dict[str, Any]) -> TrainSpec:
    """The options with the source models that this person may use, checked: what the training will do is fixed now."""
    for name in FIXED:
        if name in options:
            raise InvalidInput(f'{name} cannot be chosen', field=name)
    fixed: dict[str, Any] = {'task': str(project.task), 'divergence': settings.P2L_DIVERGENCE, 'sources': [], 'reference': None}
    try:
        spec = TrainSpec.from_json({**options, **fixed})
    except InvalidSpec as error:
        raise InvalidInput(error.message, field=error.field) from error
    cards = zoo.cards(user, project)
    if spec.source != 'auto' and spec.source not in {card.name for card in cards}:
        raise InvalidInput(zoo.why_not(user, project, spec.source), field='source')
    known = learned()
    return replace(spec, sources=tuple(cards), reference=zoo.reference(), weights=known.weights, forecast=known.forecast)
