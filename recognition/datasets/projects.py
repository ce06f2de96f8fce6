"""Create, find, rename, share, delete and restore projects."""

from __future__ import annotations

import uuid

from django.contrib.auth import get_user_model
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser, User
from django.db import models, transaction
from django.db.models import Q
from django.utils import timezone

from recognition import audit, naming
from recognition.errors import ConflictError, InvalidInputError, NotAllowedError, NotFoundError
from recognition.models import Membership, Project
from recognition.models.project import ProjectQuerySet, Role, Task

AnyUser = AbstractBaseUser | AnonymousUser


def get_visible(user: AnyUser, project_id: uuid.UUID | str) -> Project:
    """A project that this user may see; for everyone else it is not found (NotFoundError)."""
    return _get_one(Project.objects.visible_to(user), project_id)


def get_editable(user: AnyUser, project_id: uuid.UUID | str) -> Project:
    """A project that this user may change; NotAllowedError for its viewers, NotFoundError for users who are
    not members.
    """
    return _get_permitted(
        user,
        project_id,
        Project.objects.editable_by(user),
        'You may look at this project, but not change it.',
    )


def get_owned(user: AnyUser, project_id: uuid.UUID | str) -> Project:
    """A project that this user owns; NotAllowedError for its other members, NotFoundError for users who are
    not members.
    """
    return _get_permitted(
        user, project_id, Project.objects.owned_by(user), 'Only an owner of this project may do that.'
    )


def get_present(project_id: uuid.UUID | str) -> Project:
    """Any project, for commands in a shell of this machine. Error: NotFoundError."""
    return _get_one(Project.objects.filter(deleted_at=None), project_id)


def _get_permitted(
    user: AnyUser, project_id: uuid.UUID | str, rows: ProjectQuerySet, refusal: str
) -> Project:
    project = get_visible(user, project_id)
    if not rows.filter(pk=project.pk).exists():
        raise NotAllowedError(refusal)
    return project


def _get_one(rows: models.QuerySet[Project], project_id: uuid.UUID | str) -> Project:
    try:
        key = project_id if isinstance(project_id, uuid.UUID) else uuid.UUID(str(project_id))
        return rows.get(pk=key)
    except (ValueError, Project.DoesNotExist):
        raise NotFoundError('There is no such project.') from None


@transaction.atomic
def create_project(user: AbstractBaseUser, name: str, task: str = Task.CLASSIFICATION) -> Project:
    project = Project.objects.create(name=naming.clean_name(name, field='name'), task=_parse_task(task))
    Membership.objects.create(project=project, user_id=user.pk, role=Role.OWNER)
    audit.record(user, 'create project', audit.describe_project(project))
    return project


def rename_project(project: Project, name: str) -> Project:
    project.name = naming.clean_name(name, field='name')
    project.save(update_fields=['name'])
    return project


@transaction.atomic
def change_project(project: Project, *, name: str | None = None, task: str | None = None) -> Project:
    """Both or neither. Errors: InvalidInputError, ConflictError (see change_task)."""
    if task is not None:
        project = change_task(project, task)
    return project if name is None else rename_project(project, name)


@transaction.atomic
def change_task(project: Project, task: str) -> Project:
    """Change the task of a project without labels and trainings. Errors: InvalidInputError, ConflictError."""
    wanted = _parse_task(task)
    row = Project.objects.select_for_update().get(pk=project.pk)
    if row.task == wanted:
        return row
    if row.jobs.exists() or row.models.exists():
        raise ConflictError(
            'This project has been trained; make another project for another task.', field='task'
        )
    if row.images.filter(Q(label__isnull=False) | Q(boxed_at__isnull=False)).exists():
        raise ConflictError(
            'Photos of this project are labelled; make another project for another task.', field='task'
        )
    row.task = wanted
    row.save(update_fields=['task'])
    return row


def _parse_task(task: str) -> Task:
    if task not in Task.values:
        raise InvalidInputError(f'task must be one of {", ".join(Task.values)}', field='task')
    return Task(task)


def delete_project(project: Project, user: AbstractBaseUser | None = None) -> None:
    """Move a project into the trash: it is hidden, and its published names stop working. restore_project
    undoes it.
    """
    if Project.objects.filter(pk=project.pk, deleted_at=None).update(deleted_at=timezone.now()):
        audit.record(user, 'delete project', audit.describe_project(project))


def list_deleted(user: AnyUser) -> ProjectQuerySet:
    """The deleted projects that this user may restore, the last deleted first."""
    return Project.objects.deleted_by_owner(user).order_by('-deleted_at')


def restore_project(user: AbstractBaseUser, project_id: uuid.UUID | str) -> Project:
    """Restore a deleted project with everything in it; a published name that another project took stays
    there. NotFoundError.
    """
    project = _get_one(list_deleted(user), project_id)
    if Project.objects.filter(pk=project.pk, deleted_at__isnull=False).update(deleted_at=None):
        audit.record(user, 'restore project', audit.describe_project(project))
    return project


def add_member(project: Project, username: str, role: str = Role.EDITOR) -> Membership:
    """Add a member, or change a member's role. Errors: InvalidInputError, NotFoundError, ConflictError (the
    last owner).
    """
    if role not in Role.values:
        raise InvalidInputError(f'role must be one of {", ".join(Role.values)}', field='role')
    person = _get_user(username)
    with transaction.atomic():
        membership = Membership.objects.filter(project=project, user=person).first()
        if membership is None:
            return Membership.objects.create(project=project, user=person, role=role)
        if role != Role.OWNER:
            _require_other_owner(project, membership)
        membership.role = Role(role)
        membership.save(update_fields=['role'])
    return membership


@transaction.atomic
def remove_member(project: Project, username: str) -> None:
    """Remove a member from the project. Errors: NotFoundError, ConflictError (the last owner)."""
    membership = Membership.objects.filter(
        project=project, user__username=naming.clean_name(username, field='username')
    ).first()
    if membership is None:
        raise NotFoundError('There is no such member.', field='username')
    _require_other_owner(project, membership)
    membership.delete()


def _get_user(username: str) -> User:
    name = naming.clean_name(username, field='username', longest=150)
    person = get_user_model().objects.filter(username=name, is_active=True).first()
    if person is None:
        raise NotFoundError('There is no user of that name.', field='username')
    return person


def _require_other_owner(project: Project, membership: Membership) -> None:
    """Locks the project's memberships, so that two owners cannot leave at once."""
    owners = list(Membership.objects.select_for_update().filter(project=project, role=Role.OWNER))
    if owners == [membership]:
        raise ConflictError('A project needs an owner.')
