"""`manage.py train PATH`: from a folder or zip of labelled or boxed photos to a model, in this process."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recognition.errors import GraftError
from recognition.management import bootstrap, local_training
from recognition.management.progress_bar import ProgressBar


class Command(BaseCommand):
    help = (
        'Train a classifier from a folder with one sub-folder for each class, or from such a zip; with --task detection a '
        'detector, from photos with annotations (Pascal VOC, COCO or YOLO).'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument('path', type=Path)
        parser.add_argument('--name', default='', help="of the project (default: the path's)")
        parser.add_argument(
            '--source', default='auto', help='name of a source model (default: the best by P2L and a probe)'
        )
        parser.add_argument('--task', choices=['classification', 'detection'], default='classification')
        parser.add_argument(
            '--detector', choices=['auto', 'rcnn', 'fast-rcnn', 'faster-rcnn'], default='auto'
        )
        parser.add_argument(
            '--no-refit', action='store_true', help='serve the detector that was measured on photos held out'
        )
        parser.add_argument(
            '--options', type=json.loads, default={}, help='JSON: any field of a training (docs/api.md)'
        )
        parser.add_argument('--seed', type=int, default=0)
        parser.add_argument('--json', action='store_true', help='the last line is one JSON object')

    def handle(self, *, path: Path, name: str, task: str, **options: Any) -> None:
        chosen = {option: options[option] for option in ('source', 'seed', 'detector')} | options['options']
        if options['no_refit']:
            chosen['refit'] = False
        bar = ProgressBar(sys.stderr)
        try:
            bootstrap.migrate_local_database()
            trained = local_training.train(path, name, chosen, bar, task)
        except GraftError as error:
            raise CommandError(error.message) from error
        except KeyboardInterrupt as error:
            raise CommandError('Interrupted; nothing was kept.', returncode=130) from error
        finally:
            bar.close()
        for verdict in trained.left_out:
            self.stderr.write(f'{verdict.name} was left out: it {verdict.reason}', self.style.NOTICE)
        told = local_training.summary(trained.model)
        low, high = told['interval']
        figure = 'mAP (VOC 2007)' if task == 'detection' else 'right'
        self.stdout.write(
            f'Model {told["model"]}: {told["accuracy"]:.1%} {figure} ({low:.1%} to {high:.1%}), from {told["source"]}'
        )
        if options['json']:
            self.stdout.write(json.dumps(told))
