"""`manage.py export_annotations PROJECT FILE`: a project's boxes (and photos) as a zip that other programs
read.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recognition.datasets.annotation_export import FORMATS
from recognition.errors import GraftError
from recognition.management import bootstrap, local_annotations


class Command(BaseCommand):
    help = 'Export the boxes of a project, with its photos, as a zip in Pascal VOC, COCO, YOLO or CSV.'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument('project', help='id of the project')
        parser.add_argument('file', type=Path, help='the zip to write')
        parser.add_argument('--format', default='coco', choices=FORMATS)
        parser.add_argument('--without-photos', action='store_true')

    def handle(self, *, project: str, file: Path, format: str, without_photos: bool, **options: Any) -> None:
        try:
            bootstrap.migrate_local_database()
            written = local_annotations.export_annotations(project, file, format, photos=not without_photos)
        except (GraftError, OSError) as error:
            raise CommandError(str(error)) from error
        lost = (
            ' (YOLO cannot mark difficult boxes)' if written.difficult and not written.difficult_kept else ''
        )
        counts = f'{written.boxes} boxes on {written.images} photos, {written.empty} of them without boxes'
        self.stdout.write(f'{file}: {counts}; {written.photos} photos in the zip{lost}')
