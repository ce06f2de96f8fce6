"""`manage.py purge`: delete permanently what was in the trash long enough."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from recognition.management import purge


class Command(BaseCommand):
    help = 'Delete permanently the photos, classes and projects that were deleted more than so many days ago.'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument('--days', type=int, default=30, help='default: %(default)s')

    def handle(self, *, days: int, **_: Any) -> None:
        gone = purge.purge(timedelta(days=max(days, 0)))
        files = f'; {gone.imports} files of failed source imports were deleted' if gone.imports else ''
        self.stdout.write(
            f'{gone.projects} projects and {gone.images} photos ({gone.bytes / 2**20:.1f} MB) were deleted '
            f'permanently{files}'
        )
