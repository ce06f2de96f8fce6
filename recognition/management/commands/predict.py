"""`manage.py predict MODEL PATH...`: what a trained model says of images."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recognition.errors import GraftError
from recognition.management import bootstrap, local_training


class Command(BaseCommand):
    help = 'Classify image files, or find things on them.'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            'model', help="a model's id, a published name, or a project's name (its newest model)"
        )
        parser.add_argument('paths', type=Path, nargs='+', metavar='path')
        parser.add_argument('--json', action='store_true', help='one JSON list of file, label and scores')

    def handle(self, *, model: str, paths: list[Path], **options: Any) -> None:
        try:
            bootstrap.migrate_local_database()
            answers = local_training.predict(model, paths)
        except GraftError as error:
            raise CommandError(error.message) from error
        if options['json']:
            self.stdout.write(json.dumps(answers))
            return
        for answer in answers:
            self.stdout.write(_line(answer))


def _line(answer: dict[str, Any]) -> str:
    if 'found' not in answer:
        return f'{answer["file"]}: {answer["label"]} ({answer["scores"][0]["score"]:.1%})'
    boxes = [
        f'{one["label"]} ({one["score"]:.1%}) at {one["x0"]:.0f}, {one["y0"]:.0f} to {one["x1"]:.0f}, {one["y1"]:.0f}'
        for one in answer['found']
    ]
    return f'{answer["file"]}: {"; ".join(boxes) or "nothing"}'
