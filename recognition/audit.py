"""The audit log."""

from __future__ import annotations

from django.contrib.auth.base_user import AbstractBaseUser

from recognition.models import AuditEvent


def record(user: AbstractBaseUser | None, action: str, subject: str) -> None:
    """Add an entry. `subject` identifies the object (its kind, id and name), never its content."""
    AuditEvent.objects.create(user_id=None if user is None else user.pk, action=action, subject=subject[:200])
