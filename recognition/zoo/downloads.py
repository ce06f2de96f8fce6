"""Get published weights: from an installed package at the first start, from the internet when an
administrator asks.

Nothing else in Graft connects to another machine.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from recognition.errors import ConflictError, GraftError, InvalidInputError
from recognition.models import SourceModel
from recognition.models.source_model import Origin
from recognition.zoo import registration, subprocess_call
from transfer.spec.errors import InvalidRecordError
from transfer.spec.records import from_json
from transfer.zoo.weights import TIMM_PREFIX, file_digest

DOWNLOAD_SECONDS = 4 * 3600
CONNECT_SECONDS = 5
INSTALL_SECONDS = 300  # torch is loaded, 17 MB are read and written

OnBytes = Callable[[int, int], None]  # bytes received, bytes in all (0: not known)


@dataclass(frozen=True)
class FetchedWeights:
    """What the modules of transfer.zoo.fetch answer about a file that they fetched."""

    path: str
    source: str  # name of the source model
    architecture: str
    side: int
    mean: tuple[float, ...]
    std: tuple[float, ...]
    class_names: tuple[str, ...]
    dataset: str
    images: int  # that it was trained on; 0: not known
    title: str
    licence: str
    domain: str = ''
    signature: tuple[float, ...] = ()  # of its own data set, under the model itself


def download(
    name: str,
    user: AbstractBaseUser | None = None,
    *,
    images: int = 0,
    on_bytes: OnBytes = lambda received, total: None,
) -> SourceModel:
    """Download published weights and register them: torchvision's (`resnet50`, `resnet50:IMAGENET1K_V2`) or
    timm's (`timm/...`).

    images: how many it was trained on, where the publisher does not say. An interrupted download is resumed
    by the next call. Errors: InvalidInputError in one line when the weights cannot be fetched or are not what
    was published; ConflictError.
    """
    is_timm = name.startswith(TIMM_PREFIX)
    home = settings.HUGGINGFACE_URL if is_timm else settings.TORCHVISION_URL
    _check_reachable(home)
    with _open_download_folder() as folder:
        answer = _fetch(
            'transfer.zoo.fetch.huggingface' if is_timm else 'transfer.zoo.fetch.torchvision_weights',
            name,
            folder,
            home,
            on_bytes,
        )
        return _import_fetched(
            _read_answer(answer), Origin.TIMM if is_timm else Origin.TORCHVISION, images, user
        )


def install_packaged() -> list[str]:
    """Register the sources that installed packages bring, and restore a file or a signature that one of them
    lost.

    Sources that are, or were, in the zoo are left alone. Returns a line about each that was handled. A
    package that is missing, or a full disk, costs only that source: the line then says why.
    """
    rows = SourceModel.objects.in_bulk(settings.PACKAGED_SOURCES, field_name='name')
    incomplete = [
        name for name in settings.PACKAGED_SOURCES if name not in rows or _is_incomplete(rows[name])
    ]
    return [_install_or_explain(name, rows.get(name)) for name in incomplete]


def _is_incomplete(row: SourceModel) -> bool:
    return row.removed_at is None and (row.digest not in row.signatures or not Path(row.weights).is_file())


def _install_or_explain(name: str, row: SourceModel | None) -> str:
    try:
        with tempfile.TemporaryDirectory(dir=settings.FILE_UPLOAD_TEMP_DIR) as folder:
            answer = _fetch('transfer.zoo.fetch.package', name, Path(folder), seconds=INSTALL_SECONDS)
            fetched = _read_answer(answer)
            if row is None:
                _import_fetched(fetched, Origin.STARTER, 0, None)
            else:
                _restore_files(row, Path(fetched.path), list(fetched.signature))
    except ConflictError:
        return f'The source model {name} is in the zoo.'  # another process was faster
    except (GraftError, OSError) as error:
        return f'The source model {name} could not be installed: {error}'
    return f'The source model {name} is in the zoo.'


def _restore_files(row: SourceModel, path: Path, signature: list[float]) -> None:
    if file_digest(path) != row.digest:
        raise InvalidInputError(
            'the package contains another file than the one that models were trained from.'
        )
    file = Path(row.weights)
    if not file.is_file():
        file = registration.choose_weights_path(row.name, path.suffix)
        shutil.copyfile(path, file)  # not moved: safetensors writes for its own user only
    with transaction.atomic():
        locked = SourceModel.objects.select_for_update().get(pk=row.pk)
        locked.weights, locked.signatures = str(file), locked.signatures | {row.digest: signature}
        locked.save(update_fields=['weights', 'signatures'])


def list_published() -> list[list[str]]:
    """List what torchvision publishes: name to pass to `download`, input side, size."""
    listed: list[list[str]] = _fetch(
        'transfer.zoo.fetch.torchvision_weights', '', Path(), settings.TORCHVISION_URL
    )['listed']
    return listed


def _fetch(
    module: str,
    name: str,
    folder: Path,
    home: str = '',
    on_bytes: OnBytes = lambda received, total: None,
    seconds: float = DOWNLOAD_SECONDS,
) -> dict[str, Any]:
    taken_names = list(SourceModel.objects.values_list('name', flat=True))
    request = {'name': name, 'folder': str(folder), 'url': home, 'taken': taken_names}
    return subprocess_call.call(
        module,
        request,
        seconds=seconds,
        networked=bool(home),
        on_progress=lambda progress: on_bytes(progress['fetched'], progress['total']),
    )


def _read_answer(answer: Mapping[str, object]) -> FetchedWeights:
    try:
        return from_json(FetchedWeights, answer)
    except InvalidRecordError as error:
        raise InvalidInputError(
            f'What is published about the weights cannot be read: {error.message}.'
        ) from error


def _import_fetched(
    fetched: FetchedWeights, origin: Origin, images: int, user: AbstractBaseUser | None
) -> SourceModel:
    path = Path(fetched.path)
    metadata = registration.SourceMetadata(
        name=fetched.source,
        architecture=fetched.architecture,
        side=fetched.side,
        mean=fetched.mean,
        std=fetched.std,
        dataset=fetched.dataset,
        domain=fetched.domain,
        images=images or fetched.images,
        class_names=fetched.class_names,
        licence=fetched.licence[:200],
        title=fetched.title,
        origin=origin,
        own_signature=fetched.signature,
    )
    try:
        row = registration.import_source(path, metadata, user)
    except GraftError as error:
        if error.field == 'images':
            raise InvalidInputError(
                f'{path.name} was downloaded, but how many images it was trained on is unknown: add --images.'
            ) from error
        path.unlink(missing_ok=True)  # downloading it again would give the same file
        raise
    path.unlink(missing_ok=True)
    return row


@contextlib.contextmanager
def _open_download_folder() -> Any:
    """Open the folder of downloads; it is deleted unless a partial download remains in it."""
    folder = Path(settings.ZOO_DIR) / '.downloads'
    folder.mkdir(parents=True, exist_ok=True)
    try:
        yield folder
    finally:
        with contextlib.suppress(OSError):  # not empty
            folder.rmdir()


def _check_reachable(url: str) -> None:
    """Check that a server answers at all, before torch is loaded, which takes seconds. InvalidInputError when
    it does not.
    """
    try:
        request = urllib.request.Request(url, method='HEAD')  # noqa: S310 the URL is a setting
        urllib.request.urlopen(request, timeout=CONNECT_SECONDS).close()  # noqa: S310
    except urllib.error.HTTPError:
        return  # it answered, even if only that it has no listing
    except (OSError, ValueError) as error:
        host = urllib.parse.urlsplit(url).netloc or url
        raise InvalidInputError(
            f'{host} cannot be reached ({getattr(error, "reason", error)}); nothing was changed.'
        ) from error
