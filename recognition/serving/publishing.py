"""Published names: what programs call, which model answers under it, and the way back."""

from __future__ import annotations

import uuid
from typing import Any

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
    """Let a name of the model's project answer with this model from now on; a name nobody has is made.

    A provisional model may be published too: the finished model of its training takes its place by itself.
    Errors: InvalidInputError (the name's letters), ConflictError (another project has it, or it moved meanwhile).
    """
    name = _validate_name(name)
    with transaction.atomic():
        publication = Publication.objects.select_related('model', 'project').filter(name=name).first()
        if publication is None:
            publication = _create(model, name)
        elif publication.project.deleted_at and publication.project_id != model.project_id:
            unpublish(publication, user)  # its project was put away, so nobody calls it
            publication = _create(model, name)
        elif publication.project_id != model.project_id:
            raise ConflictError(
                TAKEN, field='name'
            )  # not whose: that another's project exists is not ours to tell
        else:
            _move(publication, model)
        _record_event(publication, model, 'publish', user)
    return publication


def rollback(publication: Publication, user: AbstractBaseUser) -> Publication:
    """Answer with the model that was published before the present one. ConflictError when there is none."""
    with transaction.atomic():
        earlier = find_previous_model(publication)
        if earlier is None:
            raise ConflictError('There is no earlier model to go back to.')
        _move(publication, earlier)
        _record_event(publication, earlier, 'rollback', user)
    return publication


def unpublish(publication: Publication, user: AbstractBaseUser) -> None:
    """The name stops answering and is free again; its history goes with it, the audit keeps a line."""
    audit.record(user, 'unpublish', f'{publication.name} of project {publication.project_id}')
    publication.delete()


def find(name: str, user: AbstractBaseUser) -> Publication:
    """The publication of that name, if this person may see its project; NotFoundError otherwise."""
    rows = Publication.objects.select_related('model', 'project').filter(
        project__in=Project.objects.visible_to(user)
    )
    publication = rows.filter(name=name).first()
    if publication is None:
        raise NotFoundError('There is no published model of that name.')
    return publication


def find_previous_model(publication: Publication) -> TrainedModel | None:
    """The model below the present one on the pile that the events built: publishing puts on top, rolling back takes off."""
    pile: list[TrainedModel] = []
    for event in publication.events.select_related('model').order_by('id'):
        if event.action == 'rollback':
            pile = pile[:-1]
        elif not pile or pile[-1].pk != event.model_id:
            pile.append(event.model)
    return pile[-2] if len(pile) > 1 else None


def _validate_name(name: object) -> str:
    text = name.strip() if isinstance(name, str) else ''
    try:
        validate_slug(text)
    except ValidationError:
        raise InvalidInputError(
            'A name has letters, digits, hyphens and underscores only.', field='name'
        ) from None
    if _is_id(text):
        raise InvalidInputError('A name must not look like the id of a model.', field='name')
    if len(text) > LONGEST_NAME:
        raise InvalidInputError(f'A name has at most {LONGEST_NAME} letters.', field='name')
    return text


def _is_id(text: str) -> bool:
    """Addresses take a model's id or a name in the same place: an id in any way of writing it would never be looked up."""
    try:
        uuid.UUID(text)
    except ValueError:
        return False
    return True


def _create(model: TrainedModel, name: str) -> Publication:
    try:
        with transaction.atomic():
            return Publication.objects.create(project=model.project, name=name, model=model)
    except IntegrityError:  # somebody else took it between our look and our writing
        raise ConflictError(TAKEN, field='name') from None


def _move(publication: Publication, model: TrainedModel) -> None:
    """Compare-and-set: of two who move a name at once, the second is told."""
    rows = Publication.objects.filter(pk=publication.pk, model_id=publication.model_id)
    if rows.update(model=model) != 1:
        raise ConflictError('The name was moved to another model meanwhile; look again.', field='name')
    publication.model = model


def _record_event(publication: Publication, model: TrainedModel, action: str, user: AbstractBaseUser) -> None:
    PublicationEvent.objects.create(publication=publication, model=model, action=action, by_id=user.pk)
    audit.record(user, action, f'{publication.name} -> model {model.pk}')


def describe_publication(publication: Publication) -> dict[str, Any]:
    """A published name, the model that answers under it, and what it pointed at before (newest first)."""
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
    """The lines that ask a published name (or a model's id) from a shell and from Python. base_url: https://host[:port]."""
    action, (wish, value) = (
        ('detect', ('threshold', 0.5)) if task == Task.DETECTION else ('classify', ('top', 3))
    )
    address = f'{base_url.rstrip("/")}/api/v1/models/{name}/{action}'
    return {
        'curl': f"curl -H 'Authorization: Bearer YOUR_KEY' -F images=@photo.jpg '{address}?{wish}={value}'",
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
