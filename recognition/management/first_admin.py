"""The first administrator of an installation."""

from __future__ import annotations

import secrets

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import transaction

from recognition import audit
from recognition.models import Membership

ADMIN_NAMES = ('admin', 'administrator', 'graft-admin')
LOCAL_USER = 'local'  # owns what is trained from a shell before there is an administrator; cannot sign in


@transaction.atomic
def ensure_administrator() -> tuple[AbstractUser, str | None]:
    """Return an administrator, and the password when the account was created now: random, and stored only as
    a hash.

    There is no default password and no default account: with an administrator present nothing changes.
    """
    people = get_user_model()
    present = people.objects.filter(is_superuser=True, is_active=True).order_by('pk').first()
    if present is not None:
        return present, None
    taken = set(people.objects.filter(username__in=ADMIN_NAMES).values_list('username', flat=True))
    name = next((name for name in ADMIN_NAMES if name not in taken), f'admin-{secrets.token_hex(3)}')
    password = secrets.token_urlsafe(12)  # 96 bits
    administrator = people.objects.create_superuser(name, password=password)
    _share_local_projects(administrator)
    audit.record(administrator, 'create administrator', name)
    return administrator, password


def _share_local_projects(administrator: AbstractUser) -> None:
    """Make the administrator a member of the projects that the shell made before, so that they are on the
    pages.
    """
    for membership in Membership.objects.filter(user__username=LOCAL_USER):
        Membership.objects.create(
            project_id=membership.project_id, user_id=administrator.pk, role=membership.role
        )
