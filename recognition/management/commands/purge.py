"""`manage.py purge`: empty the trash of what has lain in it long enough."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from recognition.management import purge


class Command(BaseCommand):
    help = 'Delete for good the photos, classes and projects that were put into the trash more than so many days ago.'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument('--days', type=int, default=30, help='default: %(default)s')

    def handle(self, *, days: int, **_: Any) -> None:
        gone = purge.purge(timedelta(days=max(days, 0)))
        files = f'; {gone.additions} weights files that were refused are dropped' if gone.additions else ''
        self.stdout.write(
            f'{gone.projects} projects and {gone.images} photos ({gone.bytes / 2**20:.1f} MB) were deleted for good{files}'
        )
