"""Fetching published weights: from an installed package at the first start, from another machine when an administrator asks.

Nothing else of Graft calls another machine.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from recognition.errors import ConflictError, GraftError, InvalidInputError
from recognition.models import SourceModel
from recognition.models.source_model import Origin
from recognition.zoo import registration, subprocess_call
from transfer.zoo.weights import TIMM_PREFIX, file_digest

SECONDS_TO_FETCH = 4 * 3600
SECONDS_TO_REACH = 5
SECONDS_TO_UNPACK = 300  # torch is loaded, 17 MB are read and written

OnProgress = Callable[[int, int], None]


def download(
    name: str,
    user: AbstractBaseUser | None = None,
    *,
    images: int = 0,
    heard: OnProgress = lambda fetched, total: None,
) -> SourceModel:
    """Download published weights and register them: torchvision's (`resnet50`, `resnet50:IMAGENET1K_V2`) or timm's (`timm/...`).

    images: of the set it was trained on, where the publisher does not say. `heard` gets the bytes that are here, and in all (0:
    nobody says). What broke off goes on with the next call.
    Errors: InvalidInputError in one line when they cannot be had or are not what was published; ConflictError.
    """
    is_timm = name.startswith(TIMM_PREFIX)
    home = settings.HUGGINGFACE_URL if is_timm else settings.TORCHVISION_URL
    _check_reachable(home)
    with _open_download_folder() as folder:
        found = _fetch(
            'transfer.zoo.fetch.huggingface' if is_timm else 'transfer.zoo.fetch.torchvision_weights',
            name,
            folder,
            home,
            heard,
        )
        return _import_fetched(found, Origin.TIMM if is_timm else Origin.TORCHVISION, images, user)


def install_packaged() -> list[str]:
    """Register the sources that installed packages bring, unless they are, or were, in the zoo, and put back what one of them
    lost, its file or its signature; a line to tell of each.

    A package that is missing, or a disk that is full, costs nothing but this source: the line then says why.
    """
    rows = SourceModel.objects.in_bulk(settings.PACKAGED_SOURCES, field_name='name')
    lacking = [name for name in settings.PACKAGED_SOURCES if name not in rows or _is_incomplete(rows[name])]
    return [_install_or_explain(name, rows.get(name)) for name in lacking]


def _is_incomplete(row: SourceModel) -> bool:
    return row.removed_at is None and (row.digest not in row.signatures or not Path(row.weights).is_file())


def _install_or_explain(name: str, row: SourceModel | None) -> str:
    try:
        with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
            found = _fetch('transfer.zoo.fetch.package', name, Path(folder), seconds=SECONDS_TO_UNPACK)
            if row is None:
                _import_fetched(found, Origin.STARTER, 0, None)
            else:
                _restore_files(row, Path(found['path']), found['signature'])
    except ConflictError:
        return f'The source model {name} is in the zoo.'  # another process was quicker
    except (GraftError, OSError) as error:
        return f'The source model {name} was left out: {error}'
    return f'The source model {name} is in the zoo.'


def _restore_files(row: SourceModel, path: Path, signature: list[float]) -> None:
    if file_digest(path) != row.digest:
        raise InvalidInputError('the package holds another file than the one that models were made from.')
    file = Path(row.weights)
    if not file.is_file():
        file = registration.choose_weights_path(row.name, path.suffix)
        shutil.copyfile(path, file)  # not moved: safetensors writes for its own user only
    with transaction.atomic():
        held = SourceModel.objects.select_for_update().get(pk=row.pk)
        held.weights, held.signatures = str(file), held.signatures | {row.digest: signature}
        held.save(update_fields=['weights', 'signatures'])


def list_published() -> list[list[str]]:
    """What torchvision publishes, as lines of: what to ask for, input side, size."""
    listed: list[list[str]] = _fetch(
        'transfer.zoo.fetch.torchvision_weights', '', Path(), settings.TORCHVISION_URL
    )['listed']
    return listed


def _fetch(
    module: str,
    name: str,
    folder: Path,
    home: str = '',
    heard: OnProgress = lambda fetched, total: None,
    seconds: float = SECONDS_TO_FETCH,
) -> dict[str, Any]:
    taken = list(SourceModel.objects.values_list('name', flat=True))
    request = {'name': name, 'folder': str(folder), 'url': home, 'taken': taken}
    return subprocess_call.call(
        module,
        request,
        seconds=seconds,
        networked=bool(home),
        heard=lambda told: heard(told['fetched'], told['total']),
    )


def _import_fetched(
    found: dict[str, Any], origin: Origin, images: int, user: AbstractBaseUser | None
) -> SourceModel:
    path = Path(found['path'])
    said = registration.SourceMetadata(
        name=found['source'],
        architecture=found['architecture'],
        side=found['side'],
        mean=tuple(found['mean']),
        std=tuple(found['std']),
        dataset=found['dataset'],
        domain=found.get('domain', ''),
        images=images or found['images'],
        class_names=tuple(found['class_names']),
        licence=found['licence'][:200],
        title=found['title'],
        origin=origin,
        own_signature=tuple(found.get('signature', ())),
    )
    try:
        row = registration.import_source(path, said, user)
    except GraftError as error:
        if error.field == 'images':
            raise InvalidInputError(
                f'{path.name} is here, but on how many images it was trained is not known: say --images.'
            ) from error
        path.unlink(missing_ok=True)  # it will be no better the next time
        raise
    path.unlink(missing_ok=True)
    return row


@contextlib.contextmanager
def _open_download_folder() -> Any:
    """The folder of what is being fetched; it stays while there is a part in it."""
    folder = Path(settings.ZOO_DIR) / '.downloads'
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()


def _check_reachable(url: str) -> None:
    """Ask the other side for anything: without a network the answer should not wait until torch is loaded."""
    try:
        urllib.request.urlopen(urllib.request.Request(url, method='HEAD'), timeout=SECONDS_TO_REACH).close()  # noqa: S310 a setting
    except urllib.error.HTTPError:
        return  # it answered, if only that it shows no listing
    except (OSError, ValueError) as error:
        host = urllib.parse.urlsplit(url).netloc or url
        raise InvalidInputError(
            f'{host} cannot be reached ({getattr(error, "reason", error)}); nothing was changed.'
        ) from error
