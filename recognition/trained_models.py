"""Trained models: found by id or by published name, and deleted."""

from __future__ import annotations

import uuid
from functools import partial

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction
from django.db.models import ProtectedError

from recognition import audit, projects, publishing, storage
from recognition.errors import Conflict, NotFound
from recognition.models import Project, TrainedModel
from recognition.models.job import ENDED


def called(user: AbstractBaseUser, reference: str) -> TrainedModel:
    """The model of that id, or the one that is published under that name, if this person may see it; else NotFound."""
    try:
        return visible(user, uuid.UUID(reference))
    except ValueError:
        pass  # not an id: a name
    try:
        return publishing.find(reference, user).model
    except NotFound:
        raise NotFound('There is no such model.') from None


def answering(user: AbstractBaseUser, reference: str) -> TrainedModel:
    """As `called`, with what a prediction needs and no more: a report may have a megabyte."""
    rows = TrainedModel.objects.only('project_id', 'version', 'provisional', 'artifact', 'digest', 'labels')
    rows = rows.filter(project__memberships__user_id=user.pk, project__deleted_at=None).order_by()
    try:
        found = rows.filter(pk=uuid.UUID(reference))
    except ValueError:  # not an id: a name
        found = rows.filter(publications__name=reference)
    model = next(iter(found), None)
    if model is None:
        raise NotFound('There is no such model.')
    return model


def identified(reference: str) -> uuid.UUID:
    """The id in an address that also takes names; NotFound for a name."""
    try:
        return uuid.UUID(reference)
    except ValueError:
        raise NotFound('There is no such model.') from None


def visible(user: AbstractBaseUser, model_id: uuid.UUID) -> TrainedModel:
    rows = TrainedModel.objects.filter(project__in=Project.objects.visible_to(user))
    model = rows.select_related('project', 'job').filter(pk=model_id).first()
    if model is None:
        raise NotFound('There is no such model.')
    return model


def editable(user: AbstractBaseUser, model_id: uuid.UUID) -> TrainedModel:
    """NotAllowed for viewers of its project."""
    model = visible(user, model_id)
    projects.editable(user, model.project_id)
    return model


@transaction.atomic
def delete(model: TrainedModel, user: AbstractBaseUser) -> None:
    """Delete a model and its artifact. Conflict while it is published, or while its training goes on."""
    if model.job is not None and model.job.state not in ENDED:
        raise Conflict('Its training is still running: cancel that first.')
    try:
        model.delete()
    except ProtectedError:
        names = ', '.join(model.publications.values_list('name', flat=True))
        raise Conflict(f'It is published as {names}: publish another model there, or take the name back, first.') from None
    audit.record(user, 'delete model', f'{model.pk} version {model.version} of project {model.project_id}')
    transaction.on_commit(partial(storage.delete_artifact, model.artifact))
