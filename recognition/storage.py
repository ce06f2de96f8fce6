"""Store and read bytes: the only module that knows paths and storage back ends.

Photos, thumbnails and sealed models go through Django's default storage (a folder, or an S3 bucket). What
needs a path on this machine asks for one and gets a copy from a local cache when the storage is remote.
"""

from __future__ import annotations

import shutil
import tempfile
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path

from django.conf import settings
from django.core.files.base import ContentFile, File
from django.core.files.storage import default_storage

from transfer.runtime.atomic_write import replace_file


def save(key: str, data: bytes) -> str:
    """Store bytes under a generated key (never a user's file name); returns the key."""
    return default_storage.save(key, ContentFile(data))


def save_file(key: str, path: Path) -> str:
    """Store a file of this machine under a generated key; returns the key."""
    with path.open('rb') as file:
        return default_storage.save(key, File(file))


def read(key: str) -> bytes:
    with default_storage.open(key) as file:
        return bytes(file.read())


def delete(key: str) -> None:
    default_storage.delete(key)


def local_path(key: str) -> Path:
    """A path on this machine with the stored bytes; a remote object is fetched once."""
    if is_local():
        return Path(default_storage.path(key))
    copy = settings.LOCAL_CACHE / 'objects' / key
    if not copy.exists():
        with replace_file(copy) as path, default_storage.open(key) as source, path.open('wb') as target:
            shutil.copyfileobj(source, target)
    return copy


def is_local() -> bool:
    return not settings.S3_BUCKET


def publish_artifact(folder: Path, name: str) -> None:
    """Copy an artifact into storage under models/NAME; meta.json comes last, so a folder that has one is
    complete.
    """
    files = sorted(
        (path for path in folder.rglob('*') if path.is_file()), key=lambda path: path.name == 'meta.json'
    )
    for path in files:
        with path.open('rb') as file:
            default_storage.save(f'models/{name}/{path.relative_to(folder).as_posix()}', File(file))


def artifact_folder(name: str) -> Path:
    """The folder of a published artifact on this machine. It may be missing or damaged: serving checks its
    digests."""
    if is_local():
        return Path(default_storage.path(f'models/{name}'))
    for key in _list_keys(f'models/{name}'):
        local_path(key)
    return Path(settings.LOCAL_CACHE / 'objects' / 'models' / name)


def delete_artifact(name: str) -> None:
    for key in list(_list_keys(f'models/{name}')):
        default_storage.delete(key)
    if is_local():
        shutil.rmtree(default_storage.path(f'models/{name}'), ignore_errors=True)


def delete_artifacts_of(folder: str, *, but: str) -> None:
    """Delete the artifacts FOLDER/NAME whose full name is not `but`."""
    if default_storage.exists(f'models/{folder}') or not is_local():
        for name in default_storage.listdir(f'models/{folder}')[0]:
            if f'{folder}/{name}' != but:
                delete_artifact(f'{folder}/{name}')


def _list_keys(prefix: str) -> Iterator[str]:
    if not default_storage.exists(prefix) and is_local():
        return
    folders, files = default_storage.listdir(prefix)
    yield from (f'{prefix}/{name}' for name in files)
    for folder in folders:
        yield from _list_keys(f'{prefix}/{folder}')


def training_folder(job_id: uuid.UUID) -> Path:
    """The folder of a job's checkpoints and unfinished artifact; kept until the job ends, so that it can
    resume.
    """
    folder = Path(settings.DATA_DIR) / 'trainings' / str(job_id)
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def delete_training_folder(job_id: uuid.UUID) -> None:
    shutil.rmtree(Path(settings.DATA_DIR) / 'trainings' / str(job_id), ignore_errors=True)


def save_detection_images(job_id: uuid.UUID, photos: Iterable[bytes]) -> None:
    """Store the images of a detection job for its worker; they are deleted when the job ends."""
    for number, data in enumerate(photos):
        default_storage.save(f'detection-jobs/{job_id}/{number}', ContentFile(data))


def read_detection_image(job_id: uuid.UUID, number: int) -> bytes:
    return read(f'detection-jobs/{job_id}/{number}')


def delete_detection_images(job_id: uuid.UUID) -> None:
    for key in list(_list_keys(f'detection-jobs/{job_id}')):
        default_storage.delete(key)
    if is_local():
        shutil.rmtree(default_storage.path(f'detection-jobs/{job_id}'), ignore_errors=True)


def cache_folder(name: str) -> Path:
    """A folder of the local cache (decoded pixels, features, compiled graphs); anything in it may vanish."""
    folder = Path(settings.LOCAL_CACHE) / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def delete_cached(name: str, key: str) -> None:
    """Delete one entry of the local cache of that name."""
    shutil.rmtree(Path(settings.LOCAL_CACHE) / name / key, ignore_errors=True)


def make_scratch_folder() -> Path:
    return Path(tempfile.mkdtemp(dir=settings.FILE_UPLOAD_TEMP_DIR))
