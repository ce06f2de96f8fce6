"""Start a training: check the options, freeze them on a job and queue it."""

from __future__ import annotations

from dataclasses import replace

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from recognition import audit
from recognition.errors import InvalidInputError, NotReadyError, QueueFullError
from recognition.jobs.queue import LOCAL_QUEUE, enqueue
from recognition.models import Job, Project
from recognition.models.job import State
from recognition.training.readiness import check_readiness
from recognition.zoo import catalog
from recognition.zoo.selection_params import read_selection_params
from transfer.spec.errors import InvalidSpecError
from transfer.spec.options import Option as TrainingOption
from transfer.spec.train_spec import FIXED_FIELDS, OPTIONS, TrainSpec


def list_training_options(task: str = '') -> tuple[TrainingOption, ...]:
    """What a user may choose, in the order of TrainSpec; with a task only what it uses. Forms and schemas
    derive from it.
    """
    return tuple(option for option in OPTIONS.values() if not task or option.task in ('', task))


def start_training(project: Project, user: AbstractBaseUser, options: dict[str, object]) -> Job:
    """Queue a training. `options` are fields of a TrainSpec, all of them optional.

    Errors: NotReadyError (naming what is missing), InvalidInputError (naming the option), QueueFullError.
    """
    with transaction.atomic():
        job = _create_job(project, user, options)
        enqueue(job)
    return job


def create_local_training(project: Project, user: AbstractBaseUser, options: dict[str, object]) -> Job:
    """A training that no worker takes, for recognition.management.local_training. Errors: as `start`."""
    return _create_job(project, user, options, queue=LOCAL_QUEUE)


def _create_job(project: Project, user: AbstractBaseUser, options: dict[str, object], queue: str = '') -> Job:
    state = check_readiness(project)
    if not state.ready:
        raise NotReadyError(' '.join(state.missing))
    spec = _freeze_spec(project, user, options)
    waiting = Job.objects.all().trainings().filter(created_by_id=user.pk, state=State.QUEUED).count()
    if waiting >= settings.MAX_QUEUED_TRAININGS_PER_USER:
        raise QueueFullError(
            f'{waiting} of your trainings are waiting already; cancel one, or come back when one has started.'
        )
    where = queue or {'cuda': 'gpu', 'cpu': 'cpu', 'auto': settings.TRAINING_QUEUE}[spec.device]
    job = Job.objects.create(
        project=project, kind=project.task, spec=spec.to_json(), queue=where, created_by_id=user.pk
    )
    audit.record(user, 'start training', f'{audit.describe_project(project)}, job {job.pk}')
    return job


def _freeze_spec(project: Project, user: AbstractBaseUser, options: dict[str, object]) -> TrainSpec:
    """Check the options, and fix them with the source models that this user may use: what the training will
    do.
    """
    for name in FIXED_FIELDS:
        if name in options:
            raise InvalidInputError(f'{name} cannot be chosen', field=name)
    fixed: dict[str, object] = {
        'task': str(project.task),
        'divergence': settings.P2L_DIVERGENCE,
        'sources': [],
        'reference': None,
    }
    try:
        spec = TrainSpec.from_json({**options, **fixed})
    except InvalidSpecError as error:
        raise InvalidInputError(error.message, field=error.field) from error
    sources = catalog.list_sources(user, project)
    if spec.source != 'auto' and spec.source not in {source.name for source in sources}:
        raise InvalidInputError(catalog.explain_unavailable(user, project, spec.source), field='source')
    known = read_selection_params()
    return replace(
        spec,
        sources=tuple(sources),
        reference=catalog.get_reference(),
        weights=known.weights,
        forecaster=known.forecast,
    )
