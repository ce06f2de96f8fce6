"""`manage.py predict MODEL PATH...`: classify images, or detect objects on them, with a trained model."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recognition.errors import GraftError
from recognition.management import bootstrap, local_training
from recognition.management.local_training import FilePrediction


class Command(BaseCommand):
    help = 'Classify image files, or detect objects on them.'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            'model', help="a model's id, a published name, or a project's name (its newest model)"
        )
        parser.add_argument('paths', type=Path, nargs='+', metavar='path')
        parser.add_argument(
            '--json', action='store_true', help='print one JSON list of files with their scores or detections'
        )

    def handle(self, *, model: str, paths: list[Path], **options: Any) -> None:
        try:
            bootstrap.migrate_local_database()
            predictions = local_training.predict(model, paths)
        except GraftError as error:
            raise CommandError(error.message) from error
        if options['json']:
            self.stdout.write(json.dumps([item.to_json() for item in predictions]))
            return
        for item in predictions:
            self.stdout.write(_format(item))


def _format(item: FilePrediction) -> str:
    if item.scores is not None:
        return f'{item.file}: {item.scores[0].label} ({item.scores[0].score:.1%})'
    boxes = [
        f'{box.label} ({box.score:.1%}) at {box.x0:.0f}, {box.y0:.0f} to {box.x1:.0f}, {box.y1:.0f}'
        for box in item.detections or ()
    ]
    return f'{item.file}: {"; ".join(boxes) or "no detections"}'
