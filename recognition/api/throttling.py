"""How often one person may ask."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING

from django.conf import settings
from rest_framework.request import Request
from rest_framework.throttling import BaseThrottle

if TYPE_CHECKING:
    from rest_framework.views import APIView  # while the framework reads this module, it has no views yet

PERIODS = {'sec': 1, 'min': 60, 'hour': 3600}
MOST_PEOPLE = 10_000  # remembered at once

_lock = threading.Lock()
_seen: dict[object, tuple[float, float]] = {}  # person or address -> (when, how many requests were left then)


class PerPerson(BaseThrottle):
    """settings.API_RATE (`6000/min`) for each person (her keys together); a bucket that fills evenly.

    Counted in each web process: a shared count on disk cost more than a whole prediction.
    """

    def __init__(self) -> None:
        number, _, period = settings.API_RATE.partition('/')
        self.most = float(number)
        self.per_second = self.most / PERIODS[period]
        self.needed = 0.0

    def allow_request(self, request: Request, view: APIView) -> bool:
        now = time.monotonic()
        person = request.user.pk if request.user else request.META.get('REMOTE_ADDR')
        with _lock:
            if len(_seen) > MOST_PEOPLE:
                _seen.clear()
            when, left = _seen.get(person, (now, self.most))
            left = min(self.most, left + (now - when) * self.per_second)
            self.needed = max(0.0, 1 - left)
            _seen[person] = (now, left if self.needed else left - 1)
        return not self.needed

    def wait(self) -> float:
        return self.needed / self.per_second
