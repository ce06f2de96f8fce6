"""The first person of an installation."""

from __future__ import annotations

import secrets

from django.contrib.auth import get_user_model
from django.contrib.auth.models import AbstractUser
from django.db import transaction

from recognition import audit

NAMES = ('admin', 'administrator', 'graft-admin')


@transaction.atomic
def ensure_administrator() -> tuple[AbstractUser, str | None]:
    """An administrator, and her password when she was made just now: it is random and kept only as a hash.

    There is no default password and no default account: with an administrator present nothing changes.
    """
    people = get_user_model()
    present = people.objects.filter(is_superuser=True, is_active=True).order_by('pk').first()
    if present is not None:
        return present, None
    taken = set(people.objects.filter(username__in=NAMES).values_list('username', flat=True))
    name = next((name for name in NAMES if name not in taken), f'admin-{secrets.token_hex(3)}')
    password = secrets.token_urlsafe(12)  # 96 bits
    administrator = people.objects.create_superuser(name, password=password)
    audit.record(administrator, 'create administrator', name)
    return administrator, password
