"""`manage.py zoo list|sync|import|pull|sign|approve|retire|restore|remove|evaluate|fit`: keep the source models."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from recognition.errors import GraftError
from recognition.management import bootstrap, zoo_benchmark
from recognition.management.progress_bar import DownloadLine
from recognition.models import SourceModel
from recognition.zoo import catalog, downloads, registration, signature_jobs

ACTIONS = {
    'approve': 'let trainings start from it',
    'retire': 'let no training start from it any more',
    'restore': 'bring a retired or removed one back',
    'remove': 'take it out of the zoo; its file stays while models name it',
}
SAID = ('name', 'title', 'architecture', 'dataset', 'domain', 'images', 'licence', 'side', 'images_from')


class Command(BaseCommand):
    help = 'List, register, import, fetch and remove the source models that trainings start from.'

    def add_arguments(self, parser: CommandParser) -> None:
        actions = parser.add_subparsers(dest='action', required=True)
        actions.add_parser('list', help='every source').add_argument(
            '--architectures', action='store_true', help='the networks that can be imported, instead'
        )
        actions.add_parser('sync', help='register the sources that ship with Graft')
        _describe_import(
            actions.add_parser('import', help='add a .safetensors file or a plain state_dict (.pth)')
        )
        fetch = actions.add_parser('pull', help="download torchvision's or timm's weights")
        fetch.add_argument(
            'name',
            nargs='?',
            default='',
            help='resnet50, resnet50:IMAGENET1K_V2, timm/NAME.TAG; none: list them',
        )
        fetch.add_argument(
            '--images', type=int, default=0, help='of the set it was trained on, where nobody says'
        )
        sign = actions.add_parser('sign', help='let a worker sign a source with its images, for P2L')
        sign.add_argument(
            'name', nargs='?', default='', help='none: all that lack a signature under the present reference'
        )
        sign.add_argument('--images-from', type=Path, help='a folder or a zip of its images; they are kept')
        zoo_benchmark.describe(
            actions.add_parser(
                'evaluate', help='finetune every source on every target, and compare the rules of choice'
            )
        )
        zoo_benchmark.describe_fit(
            actions.add_parser('fit', help='fit the choice of sources to a recorded evaluation')
        )
        for action, does in ACTIONS.items():
            actions.add_parser(action, help=does).add_argument('name')

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            bootstrap.migrate_local_database()
            self.stdout.write(getattr(self, f'_{options["action"]}')(options))
        except GraftError as error:
            raise CommandError(error.message) from error

    def _list(self, options: dict[str, Any]) -> str:
        if options['architectures']:
            return '\n'.join(registration.ARCHITECTURE_NAMES)
        rows: list[tuple[str, ...]] = [
            ('NAME', 'ARCHITECTURE', 'SIDE', 'CLASSES', 'IMAGES', 'DATA SET', 'ORIGIN', 'SIGNED', 'STATE')
        ]
        reference = catalog.get_reference_digest()
        rows += [_row(source, reference) for source in SourceModel.objects.all()]
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        lines = (
            '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )
        return (
            '\n'.join(lines)
            if len(rows) > 1
            else 'The zoo is empty; `manage.py zoo sync` registers the starter zoo.'
        )

    def _sync(self, options: dict[str, Any]) -> str:
        names = catalog.sync_starter()
        told = f'{len(names)} sources of the starter zoo: {", ".join(names) or "none are there yet"}'
        return '\n'.join([told, *downloads.install_packaged(), *bootstrap.sign_unsigned_sources()])

    def _import(self, options: dict[str, Any]) -> str:
        classes = registration.read_class_names(options['classes']) if options['classes'] else ()
        said = {name: options[name] for name in SAID}
        row = registration.import_source(
            options['file'], registration.SourceMetadata(**said, class_names=classes)
        )
        return (
            f'{row.name}: {row.architecture}, {row.classes} classes, {row.images} images, {row.side} pixels'
        )

    def _pull(self, options: dict[str, Any]) -> str:
        if not options['name']:
            return '\n'.join('  '.join(line) for line in downloads.list_published())
        drawn = DownloadLine(sys.stderr, options['name'])
        try:
            row = downloads.download(options['name'], images=options['images'], heard=drawn)
        finally:
            drawn.close()
        return f'{row.name} is in the zoo'

    def _sign(self, options: dict[str, Any]) -> str:
        if options['name']:
            signature_jobs.start_from_path(catalog.find(options['name']), options['images_from'])
            return f'{options["name"]} waits to be signed by a worker'
        begun = signature_jobs.start_missing(None)
        without = (
            f'; nobody has given the images of {", ".join(begun.without_images)}'
            if begun.without_images
            else ''
        )
        return f'{len(begun.jobs)} sources wait to be signed by a worker{without}'

    def _approve(self, options: dict[str, Any]) -> str:
        catalog.approve(options['name'])
        return f'{options["name"]} is approved'

    def _retire(self, options: dict[str, Any]) -> str:
        catalog.retire(options['name'])
        return f'{options["name"]} is retired'

    def _restore(self, options: dict[str, Any]) -> str:
        catalog.restore(options['name'])
        return f'{options["name"]} is back'

    def _evaluate(self, options: dict[str, Any]) -> str:
        return zoo_benchmark.evaluate(options, sys.stderr)

    def _fit(self, options: dict[str, Any]) -> str:
        return zoo_benchmark.fit(options)

    def _remove(self, options: dict[str, Any]) -> str:
        gone = catalog.remove(options['name'])
        return f'{options["name"]} is removed{"" if gone else "; its file stays for the models that name it"}'


def _describe_import(file: CommandParser) -> None:
    file.add_argument('file', type=Path)
    file.add_argument('--name', default='', help="default: the file's")
    file.add_argument('--title', default='', help='how people read it')
    file.add_argument(
        '--architecture', default='', help="default: what the file's name begins with, or its tensors fit"
    )
    file.add_argument('--dataset', default='', help='what it was trained on')
    file.add_argument('--domain', default='', help='what its images show, in a word or two')
    file.add_argument('--images', type=int, default=0, help='how many images that were')
    file.add_argument(
        '--classes',
        type=Path,
        help='names, as JSON or one a line; default: NAME.classes.json beside the file',
    )
    file.add_argument('--licence', default='')
    file.add_argument('--side', type=int, default=0, help='input side in pixels')
    file.add_argument(
        '--images-from', type=Path, help="a folder of the source's own images, for its P2L signature"
    )


def _row(source: SourceModel, reference: str) -> tuple[str, ...]:
    numbers = (str(source.side), str(source.classes), str(source.images))
    usable = source.status == 'usable'
    state = source.status if not usable or Path(source.weights).is_file() else 'missing'
    return (
        source.name,
        source.architecture,
        *numbers,
        source.dataset,
        source.origin,
        'yes' if reference in source.signatures else 'no',
        state,
    )
