"""`manage.py reapjobs`: what every worker does by itself, for an installation whose workers are all away."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from recognition.jobs import queue


class Command(BaseCommand):
    help = 'Put jobs whose worker died back into the queue, and send lost messages again.'

    def handle(self, **_: Any) -> None:
        reaped = queue.reap()
        self.stdout.write(f'{reaped.taken_back} taken back, {reaped.ended} ended, {reaped.woken} woken')
