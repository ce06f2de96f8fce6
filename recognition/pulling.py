"""Fetching published weights over the network. Nothing else of Graft asks another machine for anything."""

from __future__ import annotations

import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from pathlib import Path

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser

from recognition import apart, source_files
from recognition.errors import Conflict, InvalidInput
from recognition.models import SourceModel
from recognition.models.source_model import Origin

SECONDS_TO_FETCH = 3600
SECONDS_TO_REACH = 5


def pull(architecture: str, user: AbstractBaseUser | None = None) -> SourceModel:
    """Download the weights that torchvision publishes for an architecture, and register them.

    Errors: InvalidInput in one line when they cannot be had or are not what was published; Conflict. Nothing is kept then.
    """
    if SourceModel.objects.filter(name=f'{architecture}_imagenet').exists():
        raise Conflict(f'There is a source called {architecture}_imagenet already.', field='name')
    _reach(settings.TORCHVISION_URL)
    zoo = Path(settings.ZOO_DIR)
    zoo.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix='.pull-', dir=zoo))
    try:
        request = {'name': architecture, 'folder': str(folder), 'url': settings.TORCHVISION_URL}
        found = apart.ask('transfer.zoo.published', request, seconds=SECONDS_TO_FETCH, networked=True)
        said = source_files.Origins(
            architecture=architecture,
            dataset=found['dataset'],
            images=found['images'],
            class_names=tuple(found['class_names']),
            licence=found['licence'],
            title=found['title'],
            origin=Origin.TORCHVISION,
        )
        return source_files.import_source(Path(found['path']), said, user)
    finally:
        shutil.rmtree(folder)


def _reach(url: str) -> None:
    """Ask the other side for anything: without a network the answer should not wait until torch is loaded."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, method='HEAD'), timeout=SECONDS_TO_REACH).close()  # noqa: S310 a setting
    except urllib.error.HTTPError:
        return  # it answered, if only that it shows no listing
    except (OSError, ValueError) as error:
        host = urllib.parse.urlsplit(url).netloc or url
        raise InvalidInput(f'{host} cannot be reached ({getattr(error, "reason", error)}); nothing was changed.') from error
