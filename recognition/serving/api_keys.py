"""API keys: shown once, kept as a hash, revoked at once."""

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
LONGEST = 200  # characters that are worth hashing
USE_NOTED_EVERY = timedelta(
    minutes=1
)  # a write on every request would be the most expensive part of a prediction
# Written out because every request asks it: 0.1 ms of CPU, where composing the same query anew takes 0.7 ms.
VALID_KEY = f"""SELECT api_key.*, person.username AS person_name
    FROM {ApiKey._meta.db_table} api_key
    JOIN {User._meta.db_table} person ON person.id = api_key.user_id AND person.is_active
    WHERE api_key.hash = %s AND api_key.revoked_at IS NULL"""  # noqa: S608  no user's text


def issue(user: AbstractBaseUser, name: str, scope: str) -> tuple[ApiKey, str]:
    """A new key and its plain text, which is not kept. Errors: InvalidInputError."""
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
    """The key of that text if it may still be used, and its person may still come in."""
    if not plain.startswith(PREFIX) or len(plain) > LONGEST or not plain.isascii():
        return None
    key = next(iter(ApiKey.objects.raw(VALID_KEY, [_hash(plain)])), None)
    if key is None:
        return None
    key.user = _build_user(key)
    _record_use(key)
    return key


def revoke(key: ApiKey) -> None:
    """From now on the key answers 401. Revoking twice changes nothing."""
    if ApiKey.objects.filter(pk=key.pk, revoked_at=None).update(revoked_at=timezone.now()):
        audit.record(key.user, 'revoke key', f'{key.pk} {key.name}')


def get_own_key(user: AbstractBaseUser, key_id: int) -> ApiKey:
    """One of the person's own keys; NotFoundError for anyone else's."""
    key = ApiKey.objects.filter(user_id=user.pk, pk=key_id).first()
    if key is None:
        raise NotFoundError('There is no such key.')
    return key


def _build_user(key: ApiKey) -> User:
    """Who VALID_KEY found behind the key; whatever else is asked of the row is read then."""
    known = {'id': key.user_id, 'username': key.person_name, 'is_active': True}  # type: ignore[attr-defined]
    return User.from_db(key._state.db, list(known), list(known.values()))


def _record_use(key: ApiKey) -> None:
    now = timezone.now()
    if key.last_used_at is None or now - key.last_used_at > USE_NOTED_EVERY:
        stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_NOTED_EVERY)
        ApiKey.objects.filter(stale, pk=key.pk).update(last_used_at=now)


def _hash(plain: str) -> str:
    return hashlib.sha256(plain.encode()).hexdigest()
