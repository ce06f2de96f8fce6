"""The audit log."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser

from recognition.models import AuditEvent, Project


def describe_project(project: Project) -> str:
    """The name for people first, then the id that stays."""
    return f'{project.name} ({project.pk})'


def record(user: AbstractBaseUser | None, action: str, subject: str) -> None:
    """Add an entry. `subject` identifies the object (its kind, id and name), never its content."""
    AuditEvent.objects.create(user_id=None if user is None else user.pk, action=action, subject=subject[:200])
