"""`manage.py serve`: the web server and a worker, until Ctrl-C."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from recognition.errors import GraftError
from recognition.management import bootstrap, supervisor


class Command(BaseCommand):
    help = 'Bring the installation up to date, then run the web server and a worker until Ctrl-C.'

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            '--host', default=settings.HOST, help='0.0.0.0 lets other machines in (default: %(default)s)'
        )
        parser.add_argument('--port', type=int, default=settings.PORT, help='default: %(default)s')

    def handle(self, *, host: str, port: int, **_: Any) -> None:
        try:
            with supervisor.listen(host, port) as listener:
                for line in bootstrap.prepare():
                    self._tell(line)
                supervisor.supervise(listener, lambda address: self._tell(f'Graft is ready: {address}'))
        except GraftError as error:
            raise CommandError(error.message) from error

    def _tell(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()
