"""Who calls the API: authentication by API key, what a key's scope allows, and how many requests a user
may make."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.core.cache import cache
from rest_framework.authentication import BaseAuthentication
from rest_framework.exceptions import AuthenticationFailed, Throttled
from rest_framework.permissions import BasePermission
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

from recognition.models import ApiKey
from recognition.serving import api_keys

if TYPE_CHECKING:
    # While rest_framework imports this module (named in settings), its views do not exist yet.
    from rest_framework.views import APIView

# Wrong keys that one IP address may send in a minute before it has to wait.
MAX_WRONG_KEYS = 60
MINUTE = 60  # seconds
PERIODS = {'sec': 1, 'min': 60, 'hour': 3600}  # seconds
# Users whose request counts are kept in memory at once.
MAX_TRACKED_USERS = 10_000

_lock = threading.Lock()
# User id or IP address -> (time of the last request, requests left then).
_buckets: dict[object, tuple[float, float]] = {}


class ApiKeyAuthentication(BaseAuthentication):
    """`Authorization: Bearer graft_...` or `X-Api-Key: graft_...`. Never in the URL: URLs end up in logs."""

    def authenticate(self, request: Request) -> tuple[AbstractBaseUser, ApiKey] | None:
        plain = _read_key(request)
        if plain is None:
            return None
        key = api_keys.authenticate(plain)
        if key is None:
            _count_wrong_key(request)
            raise AuthenticationFailed('This API key is not valid, or it was revoked.')
        return key.user, key

    def authenticate_header(self, request: Request) -> str:
        return 'Bearer realm="graft"'


class HasScope(BasePermission):
    """A key of scope `predict` may use the methods in the view's `predict_methods`; users and other keys
    all."""

    message = 'An API key with the scope “predict” does not allow this.'

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not (request.user and request.user.is_authenticated):
            return False
        if isinstance(request.auth, ApiKey) and request.auth.scope != 'manage':
            return request.method in (*getattr(view, 'predict_methods', ()), 'OPTIONS')
        return True


class UserThrottle(BaseThrottle):
    """A token bucket of settings.API_RATE (such as `6000/min`) for each user, all keys together.

    Counted in each web process: a count shared on disk took longer than a whole prediction.
    """

    def __init__(self) -> None:
        number, _, period = settings.API_RATE.partition('/')
        self.capacity = float(number)
        self.per_second = self.capacity / PERIODS[period]
        self.missing = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        now = time.monotonic()
        user = request.user.pk if request.user else request.META.get('REMOTE_ADDR')
        with _lock:
            if len(_buckets) > MAX_TRACKED_USERS:
                _buckets.clear()
            then, left = _buckets.get(user, (now, self.capacity))
            left = min(self.capacity, left + (now - then) * self.per_second)
            self.missing = max(0.0, 1 - left)
            _buckets[user] = (now, left if self.missing else left - 1)
        return not self.missing

    def wait(self) -> float:
        return self.missing / self.per_second


def _read_key(request: Request) -> str | None:
    scheme, _, value = request.META.get('HTTP_AUTHORIZATION', '').partition(' ')
    if scheme.lower() == 'bearer':
        return value.strip()
    return request.META.get('HTTP_X_API_KEY')


def _count_wrong_key(request: Request) -> None:
    """Slow down guessing. A key has 256 random bits, so this protects the database, not the keys."""
    name = f'wrong-keys:{request.META.get("REMOTE_ADDR", "")}'
    cache.add(name, 0, MINUTE)
    try:
        count = cache.incr(name)
    except ValueError:  # it expired between the two lines
        return
    if count > MAX_WRONG_KEYS:
        raise Throttled(MINUTE, 'Too many wrong API keys from this IP address.')
