"""`manage.py train PATH`: train a model from a folder or zip of labelled or annotated photos, in this
process.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recognition.errors import GraftError
from recognition.management import bootstrap, local_training
from recognition.management.progress_bar import ProgressBar
from recognition.training.detectors import KINDS


class Command(BaseCommand):
    help = (
        'Train a classifier from a folder with one sub-folder for each class, or from such a zip; '
        'with --task detection a detector, from photos with annotations (Pascal VOC, COCO or YOLO).'
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument('path', type=Path)
        parser.add_argument('--name', default='', help="name of the project (default: the path's)")
        parser.add_argument(
            '--source',
            default='auto',
            help='name of a source model (default: the best one by P2L and linear probe)',
        )
        parser.add_argument('--task', choices=['classification', 'detection'], default='classification')
        parser.add_argument('--detector', choices=KINDS, default='auto')
        parser.add_argument(
            '--no-refit',
            action='store_true',
            help='serve the detector that was evaluated, instead of one trained on the test photos too',
        )
        parser.add_argument(
            '--options', type=json.loads, default={}, help='JSON object of training options (docs/api.md)'
        )
        parser.add_argument('--seed', type=int, default=0)
        parser.add_argument(
            '--json', action='store_true', help='print the result as a JSON object in the last line'
        )

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
            raise CommandError('The training was interrupted; nothing was kept.', returncode=130) from error
        finally:
            bar.close()
        for result in trained.left_out:
            self.stderr.write(f'{result.name} was not used: it {result.reason}', self.style.NOTICE)
        summary = local_training.summarize(trained.model)
        low, high = summary.interval
        metric = 'mAP (VOC 2007)' if task == 'detection' else 'accuracy'
        self.stdout.write(
            f'Model {summary.model}: {summary.accuracy:.1%} {metric} ({low:.1%} to {high:.1%}), '
            f'based on {summary.source}'
        )
        if options['json']:
            self.stdout.write(json.dumps(summary.to_json()))
