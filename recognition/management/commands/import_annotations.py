"""`manage.py import_annotations PATH`: photos and annotations (VOC, COCO, YOLO, CSV) from a folder or zip
into a project.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recognition.datasets.annotation_export import FORMATS
from recognition.errors import GraftError
from recognition.management import bootstrap, local_annotations

MAX_LISTED = 20  # refused annotations that are printed


class Command(BaseCommand):
    help = (
        'Import photos with their boxes, or boxes of photos that are in the project, from a folder or a zip.'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument('path', type=Path)
        parser.add_argument('--project', default='', help='id of a detection project (default: a new one)')
        parser.add_argument('--name', default='', help="name of the new project (default: the path's)")
        parser.add_argument('--format', default='', choices=('', *FORMATS), help='default: detected')
        parser.add_argument(
            '--overwrite', action='store_true', help='replace the boxes of photos that have some already'
        )

    def handle(
        self, *, path: Path, project: str, name: str, format: str, overwrite: bool, **options: Any
    ) -> None:
        try:
            bootstrap.migrate_local_database()
            saved, imported = local_annotations.import_path(
                path, project, name, format=format, overwrite=overwrite
            )
        except GraftError as error:
            raise CommandError(error.message) from error
        for result in imported.results:
            if result.outcome == 'rejected':
                self.stderr.write(f'{result.name} {result.reason}', self.style.NOTICE)
        for refusal in imported.rejected[:MAX_LISTED]:
            self.stderr.write(f'{refusal.where}: {refusal.reason}', self.style.NOTICE)
        if imported.rejected_count > MAX_LISTED:
            self.stderr.write(f'... and {imported.rejected_count - MAX_LISTED} more', self.style.NOTICE)
        new = sum(result.outcome == 'created' for result in imported.results)
        boxes = f'{imported.boxes} boxes on {imported.images} photos, {imported.empty} of them without boxes'
        counts = f'{new} new photos; {boxes}'
        kept = (
            f'; {imported.not_overwritten} photos kept their earlier boxes (--overwrite replaces them)'
            if imported.not_overwritten
            else ''
        )
        self.stdout.write(
            f'Project {saved.pk}: {counts}{kept}; {imported.rejected_count} annotations refused'
        )
