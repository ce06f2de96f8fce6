"""`manage.py import_boxes PATH`: photos and annotations (VOC, COCO, YOLO, CSV) from a folder or zip into a project."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recognition.datasets.annotation_export import FORMATS
from recognition.errors import GraftError
from recognition.management import bootstrap, local_annotations

LISTED = 20  # refusals


class Command(BaseCommand):
    help = 'Import photos and their boxes, or boxes for photos that are there, from a folder or a zip.'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument('path', type=Path)
        parser.add_argument(
            '--project', default='', help='id of a project that finds things (default: a new one)'
        )
        parser.add_argument('--name', default='', help="of the new project (default: the path's)")
        parser.add_argument('--format', default='', choices=('', *FORMATS), help='found out unless told')
        parser.add_argument(
            '--overwrite', action='store_true', help='also on photos whose boxes were saved before'
        )

    def handle(
        self, *, path: Path, project: str, name: str, format: str, overwrite: bool, **options: Any
    ) -> None:
        try:
            bootstrap.migrate_local_database()
            owner, imported = local_annotations.import_path(
                path, project, name, format=format, overwrite=overwrite
            )
        except GraftError as error:
            raise CommandError(error.message) from error
        for verdict in (verdict for verdict in imported.verdicts if verdict.outcome == 'rejected'):
            self.stderr.write(f'{verdict.name} {verdict.reason}', self.style.NOTICE)
        for refusal in imported.refused[:LISTED]:
            self.stderr.write(f'{refusal.where}: {refusal.reason}', self.style.NOTICE)
        if imported.refused_count > LISTED:
            self.stderr.write(f'... and {imported.refused_count - LISTED} more', self.style.NOTICE)
        new = sum(verdict.outcome == 'created' for verdict in imported.verdicts)
        said = f'{new} new photos; {imported.boxes} boxes on {imported.images} photos, {imported.empty} of them with nothing'
        kept = f'; {imported.kept} photos kept the boxes they had (--overwrite)' if imported.kept else ''
        self.stdout.write(f'Project {owner.pk}: {said}{kept}; {imported.refused_count} refused')
