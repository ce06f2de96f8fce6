"""Find trained models by id or by published name, and delete them."""

from __future__ import annotations

import uuid
from functools import partial

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import connection, transaction
from django.db.models import ProtectedError

from recognition import audit, storage
from recognition.datasets import projects
from recognition.errors import ConflictError, NotFoundError
from recognition.models import Membership, Project, Publication, TrainedModel
from recognition.models.job import ENDED
from recognition.serving import publishing
from recognition.zoo import catalog

# Written out because every prediction asks it: 0.1 ms of CPU, where composing the same query anew takes 0.4
# ms.
COLUMNS = ('id', 'project_id', 'version', 'provisional', 'task', 'artifact', 'digest', 'labels')
SEEN_MODELS = f"""SELECT {', '.join(f'model.{name}' for name in COLUMNS)}
    FROM {TrainedModel._meta.db_table} model
    JOIN {Project._meta.db_table} project ON project.id = model.project_id AND project.deleted_at IS NULL
    JOIN {Membership._meta.db_table} membership ON membership.project_id = project.id"""  # noqa: S608  no user's text
BY_ID = f'{SEEN_MODELS} WHERE model.id = %s AND membership.user_id = %s'
BY_NAME = f"""{SEEN_MODELS} JOIN {Publication._meta.db_table} publication ON publication.model_id = model.id
    WHERE publication.name = %s AND membership.user_id = %s"""


def find_by_reference(user: AbstractBaseUser, reference: str) -> TrainedModel:
    """Find a model by id or by published name, if the user may see it; else NotFoundError."""
    try:
        return get_visible(user, uuid.UUID(reference))
    except ValueError:
        pass  # not an id: a name
    try:
        return publishing.find(reference, user).model
    except NotFoundError:
        raise NotFoundError('There is no such model.') from None


def find_for_prediction(user: AbstractBaseUser, reference: str) -> TrainedModel:
    """As `find_by_reference`, with only the columns that a prediction needs: a report may have a megabyte."""
    try:
        wanted = uuid.UUID(reference)
    except ValueError:
        model = next(iter(TrainedModel.objects.raw(BY_NAME, [reference, user.pk])), None)
    else:
        key = TrainedModel._meta.pk.get_db_prep_value(wanted, connection)
        model = next(iter(TrainedModel.objects.raw(BY_ID, [key, user.pk])), None)
    if model is None:
        raise NotFoundError('There is no such model.')
    return model


def parse_model_id(reference: str) -> uuid.UUID:
    """Parse the id in a URL that also accepts names; NotFoundError for a name."""
    try:
        return uuid.UUID(reference)
    except ValueError:
        raise NotFoundError('There is no such model.') from None


def get_visible(user: AbstractBaseUser, model_id: uuid.UUID) -> TrainedModel:
    rows = TrainedModel.objects.filter(project__in=Project.objects.visible_to(user))
    model = rows.select_related('project', 'job').filter(pk=model_id).first()
    if model is None:
        raise NotFoundError('There is no such model.')
    return model


def get_editable(user: AbstractBaseUser, model_id: uuid.UUID) -> TrainedModel:
    """As `get_visible`; NotAllowedError for viewers of its project."""
    model = get_visible(user, model_id)
    projects.get_editable(user, model.project_id)
    return model


def get_owned(user: AbstractBaseUser, model_id: uuid.UUID) -> TrainedModel:
    """As `get_visible`; NotAllowedError for members of its project who are not owners."""
    model = get_visible(user, model_id)
    projects.get_owned(user, model.project_id)
    return model


@transaction.atomic
def delete(model: TrainedModel, user: AbstractBaseUser) -> None:
    """Delete a model and its artifact. ConflictError while it is published, or while its training goes on."""
    if model.job is not None and model.job.state not in ENDED:
        raise ConflictError('The training of this model is still running: cancel it first.')
    try:
        model.delete()
    except ProtectedError:
        names = ', '.join(model.publications.values_list('name', flat=True))
        raise ConflictError(
            f'The model is published as {names}: unpublish it, or publish another model there, first.'
        ) from None
    audit.record(
        user,
        'delete model',
        f'version {model.version} of {audit.describe_project(model.project)}, model {model.pk}',
    )
    transaction.on_commit(partial(storage.delete_artifact, model.artifact))
    # it may have been the last model to refer to a removed source
    transaction.on_commit(catalog.delete_removed)
