"""API keys: issued and shown once, stored as a hash, revoked at once."""

from __future__ import annotations

import hashlib
import secrets
from datetime import timedelta

from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import User
from django.db.models import Q
from django.utils import timezone

from recognition import audit, naming
from recognition.errors import InvalidInputError, NotFoundError
from recognition.models import ApiKey

PREFIX = 'graft_'
SCOPES = ('predict', 'manage')
MAX_LENGTH = 200  # longer text is not hashed
# A write on every request would be the most expensive part of a prediction.
LAST_USE_INTERVAL = timedelta(minutes=1)
# Written out because every request asks it: 0.1 ms of CPU, where composing the same query anew takes 0.7 ms.
VALID_KEY = f"""SELECT api_key.*, owner.username AS username
    FROM {ApiKey._meta.db_table} api_key
    JOIN {User._meta.db_table} owner ON owner.id = api_key.user_id AND owner.is_active
    WHERE api_key.hash = %s AND api_key.revoked_at IS NULL"""  # noqa: S608  no user's text


def issue(user: AbstractBaseUser, name: str, scope: str) -> tuple[ApiKey, str]:
    """Create a key; return it with its plain text, which is not stored. Errors: InvalidInputError."""
    if scope not in SCOPES:
        raise InvalidInputError(f'scope must be one of {", ".join(SCOPES)}', field='scope')
    plain = PREFIX + secrets.token_urlsafe(32)
    key = ApiKey.objects.create(
        user_id=user.pk,
        name=naming.clean_name(name, field='name', longest=80),
        prefix=plain[: len(PREFIX) + 6],
        hash=_hash(plain),
        scope=scope,
    )
    audit.record(user, 'issue key', f'{key.pk} {key.name} ({scope})')
    return key, plain


def authenticate(plain: str) -> ApiKey | None:
    """Find the key of a plain text; None unless it is valid and its user is active."""
    if not plain.startswith(PREFIX) or len(plain) > MAX_LENGTH or not plain.isascii():
        return None
    key = next(iter(ApiKey.objects.raw(VALID_KEY, [_hash(plain)])), None)
    if key is None:
        return None
    key.user = _build_user(key)
    _record_use(key)
    return key


def revoke(key: ApiKey) -> None:
    """Revoke a key: requests with it get 401. Revoking twice changes nothing."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        audit.record(key.user, 'revoke key', f'{key.pk} {key.name}')


def get_own_key(user: AbstractBaseUser, key_id: int) -> ApiKey:
    """Get one of a user's own keys; NotFoundError for others."""
    key = ApiKey.objects.filter(user_id=user.pk, pk=key_id).first()
    if key is None:
        raise NotFoundError('There is no such API key.')
    return key


def _build_user(key: ApiKey) -> User:
    """The user that VALID_KEY found; other columns are read when they are accessed."""
    known = {'id': key.user_id, 'username': key.username, 'is_active': True}  # type: ignore[attr-defined]
    return User.from_db(key._state.db, list(known), list(known.values()))


def _record_use(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > LAST_USE_INTERVAL:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - LAST_USE_INTERVAL)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)


def _hash(plain: str) -> str:
    return hashlib.sha256(plain.encode()).hexdigest()
