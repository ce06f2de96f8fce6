"""The zoo: which source models a training may start from, who may see them, and their approval, retirement
and removal.
"""

from __future__ import annotations

import re
from pathlib import Path

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from recognition import audit, storage
from recognition.errors import ConflictError, InvalidInputError, NotFoundError, NotReadyError
from recognition.models import Job, Project, SourceModel, TrainedModel
from recognition.models.job import JobKind
from recognition.models.project import Role
from recognition.models.source_model import Origin, SourceModelQuerySet
from transfer.spec.errors import UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.weights import StarterModel, file_digest, parameter_count, read_starter_models

AnyUser = AbstractBaseUser | AnonymousUser

# The reference model where the settings name none: the first that is here.
REFERENCES = ('efficientnet_lite0_imagenet', 'graft-generic')
SAME_SETS = {'imagenet': 'imagenet1k', 'ilsvrc2012': 'imagenet1k'}


def list_usable(user: AnyUser | None) -> SourceModelQuerySet:
    """List the usable source models that a user may see; without a user, those that everyone may."""
    return SourceModel.objects.usable().visible_to(user)


def list_sources(user: AnyUser | None, project: Project | None = None) -> tuple[SourceModelSpec, ...]:
    """List the source models that a user's trainings may start from, with their signatures under the present
    reference.

    With a project: only those that all of its members may see, because they read its reports, and that were
    not trained on its photos, because their accuracy would be overestimated.
    """
    digest = get_reference_digest()
    rows = (
        list_usable(user)
        if project is None
        else list_usable(user).visible_to_all_members(project).not_trained_on(project)
    )
    return tuple(
        _describe(row, tuple(row.signatures.get(digest, ()))) for row in rows if Path(row.weights).is_file()
    )


def explain_unavailable(user: AnyUser, project: Project, name: str) -> str:
    """Why a training of this project cannot start from a source. One that the user may not see is said not to
    exist.
    """
    row = list_usable(user).filter(name=name).first()
    if row is None or not Path(row.weights).is_file():
        return f'there is no source model {name!r}'
    if not SourceModel.objects.filter(pk=row.pk).not_trained_on(project).exists():
        return f'{name} was trained on photos of this project, so its accuracy would be overestimated'
    return f'not every member of this project may see {name}'


def get_reference() -> SourceModelSpec:
    """The network whose features P2L compares. NotReadyError when the zoo lacks it."""
    row = _find_reference()
    if row is None or not Path(row.weights).is_file():
        wanted = settings.P2L_REFERENCE or REFERENCES[-1]
        raise NotReadyError(
            f'The zoo lacks the reference model {wanted!r}: `manage.py zoo sync` registers the starter zoo, '
            'or P2L_REFERENCE names another source.'
        )
    return _describe(row, tuple(row.signatures.get(row.digest, ())))


def get_reference_digest() -> str:
    """SHA-256 of the reference's weights: the key of the signatures that are used now. '' when the zoo lacks
    it.
    """
    row = _find_reference()
    return '' if row is None else row.digest


def get_reference_name() -> str:
    row = _find_reference()
    return '' if row is None else row.name


def _find_reference() -> SourceModel | None:
    """The source that the settings name, else the first of REFERENCES whose file is here."""
    if settings.P2L_REFERENCE:
        return SourceModel.objects.filter(name=settings.P2L_REFERENCE).first()
    ours = SourceModel.objects.filter(name__in=REFERENCES, origin=Origin.STARTER, removed_at=None)
    rows = {row.name: row for row in ours if Path(row.weights).is_file()}
    return next((rows[name] for name in REFERENCES if name in rows), None)


def get_dataset_signatures(dataset: str) -> dict[str, list[float]]:
    """The signature of a source that was trained on the reference's own data set; empty for others."""
    row = _find_reference()
    if row is None or row.digest not in row.signatures or not _is_same_dataset(dataset, row.dataset):
        return {}
    return {row.digest: row.signatures[row.digest]}


def copy_reference_signature() -> None:
    """Give every source that was trained on the reference's own data set the signature of that data set."""
    row = _find_reference()
    if row is None or row.digest not in row.signatures:
        return
    with transaction.atomic():
        for other in SourceModel.objects.select_for_update().filter(removed_at=None):
            if row.digest not in other.signatures and _is_same_dataset(other.dataset, row.dataset):
                other.signatures |= {row.digest: row.signatures[row.digest]}
                other.save(update_fields=['signatures'])


def _is_same_dataset(one: str, other: str) -> bool:
    """Compare the names of data sets; ImageNet has several."""
    plain = (re.sub(r'[\W_]', '', name.casefold()) for name in (one, other))
    first, second = (SAME_SETS.get(name, name) for name in plain)
    return first == second != ''


def _describe(row: SourceModel, signature: tuple[float, ...]) -> SourceModelSpec:
    return SourceModelSpec(
        name=row.name,
        architecture=row.architecture,
        weights=row.weights,
        digest=row.digest,
        classes=row.classes,
        images=row.images,
        side=row.side,
        mean=tuple(row.mean),
        std=tuple(row.std),
        dataset=row.dataset,
        signature=signature,
        title=row.title,
        parameters=row.parameters,
    )


def find(name: str) -> SourceModel:
    row = SourceModel.objects.filter(name=name).first()
    if row is None:
        raise NotFoundError(f'There is no source model {name!r}.')
    return row


def sync_starter() -> tuple[str, ...]:
    """Register the sources that ship with the repository, or update their rows; return their names.

    InvalidInputError naming a file that cannot be used.
    """
    try:
        found = read_starter_models(Path(settings.STARTER_ZOO))
    except UnusableSourceError as error:
        raise InvalidInputError(error.message) from error
    for source in found:
        _register_starter(source)
    delete_removed()
    return tuple(source.name for source in found)


def _register_starter(source: StarterModel) -> None:
    known = SourceModel.objects.filter(name=source.name).first()
    signatures = {digest: list(numbers) for digest, numbers in source.signatures.items()}
    values: dict[str, object] = {
        'title': source.title,
        'architecture': source.architecture,
        'parameters': parameter_count(source.weights),
        'weights': str(source.weights),
        'digest': file_digest(source.weights),
        'size': source.weights.stat().st_size,
        'side': source.side,
        'mean': list(source.mean),
        'std': list(source.std),
        'dataset': source.dataset,
        'domain': source.domain,
        'images': source.images,
        'class_names': list(source.class_names),
        'classes': len(source.class_names),
        'origin': Origin.STARTER,
        'licence': source.licence,
        'signatures': (known.signatures if known else {}) | signatures,
    }
    SourceModel.objects.update_or_create(
        name=source.name, defaults=values, create_defaults={**values, 'approved_at': timezone.now()}
    )


def approve(name: str, user: AbstractBaseUser | None = None) -> None:
    """Let trainings start from a source. Errors: NotFoundError, ConflictError (it was removed)."""
    row = find(name)
    if row.removed_at is not None:
        raise ConflictError(f'{name} was removed: restore it first.')
    approved = SourceModel.objects.filter(pk=row.pk, approved_at=None)
    if approved.update(approved_at=timezone.now(), approved_by_id=None if user is None else user.pk):
        audit.record(user, 'approve source', row.name)


def retire(name: str, user: AbstractBaseUser | None = None) -> None:
    """Let no more trainings start from a source; models that are based on it keep it. Errors: NotFoundError,
    ConflictError (the reference).
    """
    row = find(name)
    if row.name == get_reference_name():
        raise ConflictError(f'{name} is the reference model of P2L: set P2L_REFERENCE to another one first.')
    in_use = SourceModel.objects.filter(pk=row.pk, retired_at=None)
    if in_use.update(retired_at=timezone.now(), retired_by_id=None if user is None else user.pk):
        audit.record(user, 'retire source', row.name)


def restore(name: str, user: AbstractBaseUser | None = None) -> None:
    """Restore a retired or removed source; it is usable again if it was approved. Errors: NotFoundError,
    ConflictError (its owner withdrew it).
    """
    row = find(name)
    if (
        row.project is not None
        and row.removed_by_id is not None
        and _is_owner(row.removed_by_id, row.project)
    ):
        raise ConflictError(f'{name} was withdrawn by an owner of its project, who may offer it again.')
    out = SourceModel.objects.filter(pk=row.pk).exclude(retired_at=None, removed_at=None)
    if out.update(retired_at=None, retired_by=None, removed_at=None, removed_by=None):
        audit.record(user, 'restore source', row.name)


def _is_owner(user_id: int, project: Project) -> bool:
    return project.memberships.filter(user_id=user_id, role=Role.OWNER).exists()


def remove(name: str, user: AbstractBaseUser | None = None) -> bool:
    """Remove a source from the zoo; return whether its row and files were deleted at once.

    They are kept (False) while a trained model refers to it or a training that may select it is under way,
    and always when it ships with Graft. Errors: NotFoundError, ConflictError (the reference).
    """
    retire(name, user)
    row = find(name)
    there = SourceModel.objects.filter(pk=row.pk, removed_at=None)
    if there.update(removed_at=timezone.now(), removed_by_id=None if user is None else user.pk):
        audit.record(user, 'remove source', row.name)
    return row.name in delete_removed()


def remove_unshared(project: Project) -> None:
    """Remove the sources that were trained on a project's photos, unless an owner agreed to share them."""
    for row in SourceModel.objects.filter(project=project, shared_at=None).exclude(name=get_reference_name()):
        remove(row.name)


def count_models_from(row: SourceModel) -> int:
    """Count the trained models that are based on a source."""
    return TrainedModel.objects.filter(source_name=row.name).count()


def delete_removed() -> tuple[str, ...]:
    """Delete the removed sources that nothing refers to any more, with their files; return their names."""
    if Job.objects.unfinished().exclude(kind=JobKind.SOURCE_IMPORT).exists():
        return ()
    named = TrainedModel.objects.exclude(source_name='').values('source_name')
    rows = SourceModel.objects.exclude(Q(removed_at=None) | Q(origin=Origin.STARTER) | Q(name__in=named))
    return tuple(row.name for row in rows if _delete_if_removed(row))


def _delete_if_removed(row: SourceModel) -> bool:
    """False when it was restored in the meantime."""
    if not SourceModel.objects.filter(pk=row.pk).exclude(removed_at=None).delete()[0]:
        return False
    Path(row.weights).unlink(missing_ok=True)
    if row.image_archive:
        storage.delete(row.image_archive)
    return True
