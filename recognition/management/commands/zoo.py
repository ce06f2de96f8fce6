"""`manage.py zoo ACTION`: list, import, download, approve and remove source models, and benchmark how they
are selected.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recognition.errors import GraftError
from recognition.management import bootstrap, zoo_benchmark
from recognition.management.progress_bar import DownloadProgress
from recognition.models import SourceModel
from recognition.zoo import catalog, downloads, registration, signature_jobs

METADATA_OPTIONS = (
    'name',
    'title',
    'architecture',
    'dataset',
    'domain',
    'images',
    'licence',
    'side',
    'images_from',
)
HEADINGS = ('NAME', 'ARCHITECTURE', 'SIDE', 'CLASSES', 'IMAGES', 'DATA SET', 'ORIGIN', 'SIGNATURE', 'STATE')


class Command(BaseCommand):
    help = 'List, import, download, approve and remove the source models that trainings start from.'

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest='action', required=True)
        actions.add_parser('list', help='list every source model').add_argument(
            '--architectures', action='store_true', help='list the networks that can be imported instead'
        )
        actions.add_parser('sync', help='register the source models that ship with Graft')
        _add_import_arguments(
            actions.add_parser('import', help='import a .safetensors file or a plain state_dict (.pth)')
        )
        _add_download_arguments(
            actions.add_parser('download', help='download weights that torchvision or timm publishes')
        )
        _add_signature_arguments(
            actions.add_parser(
                'compute-signatures', help='let a worker compute the signatures that P2L compares'
            )
        )
        zoo_benchmark.add_benchmark_arguments(
            actions.add_parser(
                'benchmark',
                help='finetune every source model on every target data set, and compare selection rules',
            )
        )
        zoo_benchmark.add_fit_arguments(
            actions.add_parser('fit', help='fit the parameters of source selection to a benchmark')
        )
        for action, description in {
            'approve': 'let trainings start from a source model',
            'retire': 'let no more trainings start from a source model',
            'restore': 'restore a retired or removed source model',
            'remove': 'remove a source model; its file is kept while trained models refer to it',
        }.items():
            actions.add_parser(action, help=description).add_argument('name')

    def handle(self, *args: Any, action: str, **options: Any) -> None:
        actions: dict[str, Callable[..., str]] = {
            'list': self._list,
            'sync': self._sync,
            'import': self._import,
            'download': self._download,
            'compute-signatures': self._compute_signatures,
            'benchmark': self._benchmark,
            'fit': self._fit,
            'approve': self._approve,
            'retire': self._retire,
            'restore': self._restore,
            'remove': self._remove,
        }
        try:
            bootstrap.migrate_local_database()
            self.stdout.write(actions[action](**options))
        except GraftError as error:
            raise CommandError(error.message) from error

    def _list(self, *, architectures: bool, **_: object) -> str:
        if architectures:
            return '\n'.join(registration.list_architectures())
        reference = catalog.get_reference_digest()
        sources = [_format_row(source, reference) for source in SourceModel.objects.all()]
        if not sources:
            return 'The zoo is empty; `manage.py zoo sync` registers the starter zoo.'
        rows = [HEADINGS, *sources]
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        return '\n'.join(
            '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )

    def _sync(self, **_: object) -> str:
        names = catalog.sync_starter()
        summary = f'{len(names)} source models of the starter zoo: {", ".join(names) or "none found"}'
        return '\n'.join([summary, *downloads.install_packaged(), *bootstrap.compute_missing_signatures()])

    def _import(self, *, file: Path, classes: Path | None, **options: Any) -> str:
        class_names = registration.read_class_names(classes) if classes else ()
        values = {name: options[name] for name in METADATA_OPTIONS}
        metadata = registration.SourceMetadata(**values, class_names=class_names)
        row = registration.import_source(file, metadata)
        return (
            f'{row.name}: {row.architecture}, {row.classes} classes, {row.images} images, {row.side} pixels'
        )

    def _download(self, *, name: str, images: int, **_: object) -> str:
        if not name:
            return '\n'.join('  '.join(line) for line in downloads.list_published())
        progress = DownloadProgress(sys.stderr, name)
        try:
            row = downloads.download(name, images=images, on_bytes=progress)
        finally:
            progress.close()
        return f'{row.name} was added to the zoo.'

    def _compute_signatures(self, *, name: str, images_from: Path | None, **_: object) -> str:
        if name:
            signature_jobs.start_from_path(catalog.find(name), images_from)
            return f'A worker will compute the signature of {name}.'
        started = signature_jobs.start_missing(None)
        summary = f'A worker will compute the signatures of {len(started.jobs)} source models.'
        if started.without_images:
            summary += f' There are no images of {", ".join(started.without_images)}.'
        return summary

    def _approve(self, *, name: str, **_: object) -> str:
        catalog.approve(name)
        return f'{name} was approved.'

    def _retire(self, *, name: str, **_: object) -> str:
        catalog.retire(name)
        return f'{name} was retired.'

    def _restore(self, *, name: str, **_: object) -> str:
        catalog.restore(name)
        return f'{name} was restored.'

    def _remove(self, *, name: str, **_: object) -> str:
        deleted = catalog.remove(name)
        kept = '' if deleted else ' Its file is kept for the trained models that refer to it.'
        return f'{name} was removed.{kept}'

    def _benchmark(self, **options: Any) -> str:
        return zoo_benchmark.run_benchmark(sys.stderr, **options)

    def _fit(self, *, folder: Path | None, keep: Path | None, **_: object) -> str:
        return zoo_benchmark.fit(folder, keep)


def _add_import_arguments(parser: CommandParser) -> None:
    parser.add_argument('file', type=Path)
    parser.add_argument('--name', default='', help="default: the file's name")
    parser.add_argument('--title', default='', help='the name that people read')
    parser.add_argument(
        '--architecture', default='', help="default: detected from the file's name or from its tensors"
    )
    parser.add_argument('--dataset', default='', help='the data set that it was trained on')
    parser.add_argument('--domain', default='', help='what the images show, in a word or two')
    parser.add_argument('--images', type=int, default=0, help='how many images it was trained on')
    parser.add_argument(
        '--classes',
        type=Path,
        help='a file of class names, as JSON or one a line; default: NAME.classes.json beside the file',
    )
    parser.add_argument('--licence', default='')
    parser.add_argument('--side', type=int, default=0, help='input side in pixels')
    parser.add_argument(
        '--images-from', type=Path, help='a folder of its training images, to compute its P2L signature'
    )


def _add_download_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        'name',
        nargs='?',
        default='',
        help='resnet50, resnet50:IMAGENET1K_V2 or timm/NAME.TAG; default: list what torchvision publishes',
    )
    parser.add_argument(
        '--images',
        type=int,
        default=0,
        help='how many images it was trained on, if the publisher does not say',
    )


def _add_signature_arguments(parser: CommandParser) -> None:
    parser.add_argument(
        'name',
        nargs='?',
        default='',
        help='default: all source models without a signature under the current reference model',
    )
    parser.add_argument(
        '--images-from', type=Path, help='a folder or a zip of its training images; up to 1000 are stored'
    )


def _format_row(source: SourceModel, reference: str) -> tuple[str, ...]:
    numbers = (str(source.side), str(source.classes), str(source.images))
    is_missing = source.status == 'usable' and not Path(source.weights).is_file()
    return (
        source.name,
        source.architecture,
        *numbers,
        source.dataset,
        source.origin,
        'yes' if reference in source.signatures else 'no',
        'missing' if is_missing else source.status,
    )
