"""Who asks: a program by its key, or the page's own script by the session of its person (with CSRF)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.contrib.auth.base_user import AbstractBaseUser
from django.core.cache import cache
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from recognition.models import ApiKey
from recognition.serving import api_keys

if TYPE_CHECKING:
    from rest_framework.views import APIView  # while the framework reads this module, it has no views yet

WRONG_KEYS = 60  # of one address in a minute, before it has to wait
MINUTE = 60


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer graft_...` or `X-Api-Key: graft_...`; never in the address, which ends up in logs."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, ApiKey] | None:
        plain = _presented(request)
        if plain is None:
            return None
        key = api_keys.authenticate(plain)
        if key is None:
            _count_wrong_key(request)
            raise AuthenticationFailed('This API key is not valid (any more).')
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="graft"'


class HasScope(BasePermission):
    """A key of scope `predict` may do what its view lists in `open_to_predict`; other keys and people everything."""

    message = 'A key of scope “predict” may not do this.'

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not (request.user and request.user.is_authenticated):
            return False
        if isinstance(request.auth, ApiKey) and request.auth.scope != 'manage':
            return request.method in (*getattr(view, 'open_to_predict', ()), 'OPTIONS')
        return True


def _presented(request: Request) -> str | None:
    kind, _, value = request.META.get('HTTP_AUTHORIZATION', '').partition(' ')
    if kind.lower() == 'bearer':
        return value.strip()
    return request.META.get('HTTP_X_API_KEY')


def _count_wrong_key(request: Request) -> None:
    """Slows down whoever tries keys. (A key has 256 random bits: this spares the database, not the keys.)"""
    name = f'wrong-keys:{request.META.get("REMOTE_ADDR", "")}'
    cache.add(name, 0, MINUTE)
    try:
        tried = cache.incr(name)
    except ValueError:  # it ran out between the two lines
        return
    if tried > WRONG_KEYS:
        raise Throttled(MINUTE, 'Too many wrong API keys from this address.')
