"""`manage.py reapjobs`: what every worker does by itself, for an installation whose workers are all
stopped."""

from __future__ import annotations

from typing import Any

from django.core.management.base import BaseCommand

from recognition.jobs import queue


class Command(BaseCommand):
    help = 'Requeue jobs whose worker died, and send lost messages again.'

    def handle(self, **_: Any) -> None:
        counts = queue.reap()
        self.stdout.write(f'{counts.requeued} requeued, {counts.ended} ended, {counts.woken} woken')
