"""Publish models under names that programs call, move a name to another model, and roll back."""

from __future__ import annotations

import uuid

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.exceptions import ValidationError
from django.core.validators import validate_slug
from django.db import IntegrityError, transaction

from recognition import audit
from recognition.errors import ConflictError, InvalidInputError, NotFoundError
from recognition.models import Project, Publication, PublicationEvent, TrainedModel
from recognition.models.project import Task
from recognition.training.reports import model_summary

LONGEST_NAME = 80
TAKEN = 'This name is taken.'


def publish(model: TrainedModel, name: str, user: AbstractBaseUser) -> Publication:
    """Publish a model under a name of its project; a free name is created.

    A provisional model may be published too: the final model of its training replaces it. Errors:
    InvalidInputError (the characters of the name), ConflictError (another project has it, or it was moved in
    the meantime).
    """
    name = _validate_name(name)
    with transaction.atomic():
        publication = Publication.objects.select_related('model', 'project').filter(name=name).first()
        if publication is None:
            publication = _create(model, name)
        elif publication.project.deleted_at and publication.project_id != model.project_id:
            unpublish(publication, user)  # its project was deleted, so nobody can call it
            publication = _create(model, name)
        elif publication.project_id != model.project_id:
            # Not by whom: the user may not know that the other project exists.
            raise ConflictError(TAKEN, field='name')
        else:
            _move(publication, model)
        _record_event(publication, model, 'publish', user)
    return publication


def rollback(publication: Publication, user: AbstractBaseUser) -> Publication:
    """Publish the previous model of a name again. ConflictError when there is none."""
    with transaction.atomic():
        earlier = find_previous_model(publication)
        if earlier is None:
            raise ConflictError('There is no earlier model to roll back to.')
        _move(publication, earlier)
        _record_event(publication, earlier, 'rollback', user)
    return publication


def unpublish(publication: Publication, user: AbstractBaseUser) -> None:
    """Delete a published name and its history; the name is free again. The audit record keeps an entry."""
    audit.record(user, 'unpublish', f'{publication.name} of project {publication.project_id}')
    publication.delete()


def find(name: str, user: AbstractBaseUser) -> Publication:
    """Find the publication of a name, if the user may see its project; NotFoundError otherwise."""
    rows = Publication.objects.select_related('model', 'project').filter(
        project__in=Project.objects.visible_to(user)
    )
    publication = rows.filter(name=name).first()
    if publication is None:
        raise NotFoundError('There is no published model of that name.')
    return publication


def find_previous_model(publication: Publication) -> TrainedModel | None:
    """Find the model to roll back to: publishing pushes a model on a stack, and rolling back pops one."""
    stack: list[TrainedModel] = []
    for event in publication.events.select_related('model').order_by('id'):
        if event.action == 'rollback':
            stack = stack[:-1]
        elif not stack or stack[-1].pk != event.model_id:
            stack.append(event.model)
    return stack[-2] if len(stack) > 1 else None


def _validate_name(name: object) -> str:
    text = name.strip() if isinstance(name, str) else ''
    try:
        validate_slug(text)
    except ValidationError:
        raise InvalidInputError(
            'A name may only contain letters, digits, hyphens and underscores.', field='name'
        ) from None
    if _is_id(text):
        raise InvalidInputError('A name must not have the form of a model id.', field='name')
    if len(text) > LONGEST_NAME:
        raise InvalidInputError(f'A name has at most {LONGEST_NAME} characters.', field='name')
    return text


def _is_id(text: str) -> bool:
    """URLs accept a model id or a name in the same place, so a name in any notation of a UUID could never be
    found.
    """
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _create(model: TrainedModel, name: str) -> Publication:
    try:
        with transaction.atomic():
            return Publication.objects.create(project=model.project, name=name, model=model)
    except IntegrityError:  # it was taken between the query and the insert
        raise ConflictError(TAKEN, field='name') from None


def _move(publication: Publication, model: TrainedModel) -> None:
    """Compare-and-set: of two users who move a name at the same time, the second gets a ConflictError."""
    rows = Publication.objects.filter(pk=publication.pk, model_id=publication.model_id)
    if rows.update(model=model) != 1:
        raise ConflictError(
            'The name was moved to another model in the meantime; reload the page.', field='name'
        )
    publication.model = model


def _record_event(publication: Publication, model: TrainedModel, action: str, user: AbstractBaseUser) -> None:
    PublicationEvent.objects.create(publication=publication, model=model, action=action, by_id=user.pk)
    audit.record(user, action, f'{publication.name} -> model {model.pk}')


def describe_publication(publication: Publication) -> dict[str, object]:
    """The JSON of a published name: its model, the previous model, and its history, newest first."""
    earlier = find_previous_model(publication)
    return {
        'name': publication.name,
        'project': str(publication.project_id),
        'model': model_summary(publication.model),
        'previous': str(earlier.pk) if earlier else None,
        'history': [
            {
                'action': event.action,
                'model': str(event.model_id),
                'version': event.model.version,
                'at': event.at.isoformat(),
            }
            for event in publication.events.select_related('model')
        ],
        'created_at': publication.created_at.isoformat(),
    }


def build_code_examples(base_url: str, name: str, task: str = Task.CLASSIFICATION) -> dict[str, str]:
    """Example code that calls a published name (or a model id) from a shell and from Python. base_url:
    https://host[:port].
    """
    action, (wish, value) = (
        ('detect', ('threshold', 0.5)) if task == Task.DETECTION else ('classify', ('top', 3))
    )
    address = f'{base_url.rstrip("/")}/api/v1/models/{name}/{action}'
    return {
        'curl': (
            "curl \\\n-H 'Authorization: Bearer YOUR_KEY' \\\n"
            f"-F images=@photo.jpg \\\n'{address}?{wish}={value}'"
        ),
        'python': (
            'import requests\n'
            '\n'
            "with open('photo.jpg', 'rb') as photo:\n"
            '    answer = requests.post(\n'
            f"        '{address}',\n"
            "        headers={'Authorization': 'Bearer YOUR_KEY'},\n"
            f"        params={{'{wish}': {value}}},\n"
            "        files={'images': photo},\n"
            '    )\n'
            'answer.raise_for_status()\n'
            'print(answer.json())\n'
        ),
    }
