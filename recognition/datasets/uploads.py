"""Adding images to a project: verify, digest, find copies, turn upright, strip, store, and only then write the rows."""

from __future__ import annotations

import hashlib
import io
import os
import uuid
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, replace

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import transaction

from recognition import naming, storage
from recognition.datasets import jpeg
from recognition.datasets import labels as dataset_labels
from recognition.datasets.decoding import Facts, Upright, decode_upright, inspect
from recognition.datasets.upload_results import IncomingFile, UploadResult
from recognition.errors import GraftError, TooLargeError
from recognition.models import Image, Label, Project
from recognition.models.project import Task

__all__ = ['IncomingFile', 'UploadResult', 'Upright', 'add_images', 'decode_upright']

THUMBNAIL_SIDE = 256  # pixels
BATCH_FILES = 64  # of one transaction
BATCH_BYTES = 64 * 2**20  # held in memory at once
LOSSLESS = ('PNG', 'GIF', 'BMP')
LOSSLESS_PIXELS = 1_000_000  # up to here they stay lossless (PNG); a larger one becomes a JPEG
THREADS = min(4, os.cpu_count() or 1)  # decoders let go of the interpreter's lock


@dataclass(frozen=True)
class _Candidate:
    """A file whose bytes were read."""

    name: str  # shown
    label: str | None
    data: bytes
    digest: str


@dataclass(frozen=True)
class _Stored:
    """An image whose bytes lie in storage, and that has no row yet."""

    id: uuid.UUID
    key: str
    thumbnail_key: str
    width: int
    height: int
    size: int


def add_images(
    project: Project, user: AbstractBaseUser | None, files: Iterable[IncomingFile | UploadResult]
) -> list[UploadResult]:
    """Take every file in, or say why not; one bad file never loses the others.

    Upload results among `files` (entries that an archive already refused) pass through. The answer keeps the order of `files`.
    Bytes are stored before rows are written, and the rows of a batch in one transaction: an error leaves neither.
    In a project that finds things, folders name no classes.
    """
    verdicts: list[UploadResult] = []
    if project.task == Task.DETECTION:
        files = (replace(file, label=None) if isinstance(file, IncomingFile) else file for file in files)
    with ThreadPoolExecutor(THREADS, thread_name_prefix='decode') as threads:
        for batch in _batches(files):
            verdicts += _add_batch(project, user, batch, threads)
    return verdicts


def _batches(files: Iterable[IncomingFile | UploadResult]) -> Iterator[list[_Candidate | UploadResult]]:
    batch: list[_Candidate | UploadResult] = []
    held = 0
    for file in files:
        item = file if isinstance(file, UploadResult) else _read(file)
        held += len(item.data) if isinstance(item, _Candidate) else 0
        batch.append(item)
        if len(batch) >= BATCH_FILES or held >= BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _read(file: IncomingFile) -> _Candidate | UploadResult:
    name = naming.shown(file.name)
    try:
        label = None if file.label is None else naming.clean(file.label, field='label')
        if file.size > settings.MAX_IMAGE_BYTES:
            raise TooLargeError(f'is larger than {settings.MAX_IMAGE_BYTES // 2**20} MB')
        data = file.read()
    except GraftError as error:
        return UploadResult(name, 'rejected', error.message)
    return _Candidate(name, label, data, hashlib.sha256(data).hexdigest())


def _add_batch(
    project: Project,
    user: AbstractBaseUser | None,
    batch: list[_Candidate | UploadResult],
    threads: ThreadPoolExecutor,
) -> list[UploadResult]:
    first: dict[str, _Candidate] = {}
    for item in batch:
        if isinstance(item, _Candidate):
            first.setdefault(item.digest, item)
    known = (
        set(Image.objects.filter(project=project, digest__in=first).values_list('digest', flat=True))
        if first
        else set()
    )
    fresh = {digest: uuid.uuid4() for digest in first if digest not in known}
    try:
        tasks = {
            digest: threads.submit(_take_in, project.pk, key, first[digest].data)
            for digest, key in fresh.items()
        }
        wait(tasks.values())
        taken = {digest: task.result() for digest, task in tasks.items()}
        stored = {digest: result for digest, result in taken.items() if isinstance(result, _Stored)}
        rows = _write_rows(project, user, first, stored) if first else {}
    except BaseException:
        _forget(project, fresh.values())
        raise
    _forget(project, (item.id for digest, item in stored.items() if rows[digest].image_id != str(item.id)))
    reasons = {digest: result for digest, result in taken.items() if isinstance(result, str)}
    return [
        item if isinstance(item, UploadResult) else _verdict(item, first, rows, reasons) for item in batch
    ]


def _take_in(project_id: uuid.UUID, image_id: uuid.UUID, data: bytes) -> _Stored | str:
    """Verify and store one image (in a thread, so no database here); a string is the reason why not."""
    try:
        facts, kept, suffix, thumbnail = _prepare(data)
    except GraftError as error:
        return error.message
    key, thumbnail_key = f'images/{project_id}/{image_id}.{suffix}', f'thumbnails/{project_id}/{image_id}.jpg'
    storage.save(key, kept)
    storage.save(thumbnail_key, thumbnail)
    return _Stored(image_id, key, thumbnail_key, facts.width, facts.height, len(kept))


def _prepare(data: bytes) -> tuple[Facts, bytes, str, bytes]:
    """Facts, the bytes to keep, their suffix, and a thumbnail. A JPEG that is upright keeps its pixels as they are."""
    facts = inspect(data)
    if facts.format == 'JPEG' and facts.orientation == 1 and facts.mode in ('RGB', 'L'):
        upright = decode_upright(data, THUMBNAIL_SIDE)
        try:
            return facts, jpeg.stripped(data), 'jpg', _thumbnail(upright)
        except jpeg.MalformedJpegError:
            pass  # it can be decoded all the same: write it anew below
    upright = decode_upright(data)
    if facts.format in LOSSLESS and facts.width * facts.height <= LOSSLESS_PIXELS:
        return facts, _encoded(upright, 'PNG', compress_level=4), 'png', _thumbnail(upright)
    return facts, _encoded(upright, 'JPEG', quality=95), 'jpg', _thumbnail(upright)


def _encoded(upright: Upright, format: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    upright.picture.save(buffer, format, icc_profile=upright.profile, **options)
    return buffer.getvalue()


def _thumbnail(upright: Upright) -> bytes:
    small = upright.picture.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), reducing_gap=2.0)
    return _encoded(replace(upright, picture=small), 'JPEG', quality=80)


@transaction.atomic
def _write_rows(
    project: Project, user: AbstractBaseUser | None, first: dict[str, _Candidate], stored: dict[str, _Stored]
) -> dict[str, UploadResult]:
    """Digest -> what became of the first file with it."""
    known = _rows(project, first)
    labels = {
        name: dataset_labels.label_named(project, name)
        for name in sorted(
            {
                item.label
                for digest, item in first.items()
                if item.label and (digest in known or digest in stored)
            }
        )
    }
    # Another upload may write the same image at this moment: the constraint decides, and reading again tells.
    Image.objects.bulk_create(
        [
            _row(project, user, first[digest], item, labels)
            for digest, item in stored.items()
            if digest not in known
        ],
        ignore_conflicts=True,
    )
    for digest, row in known.items():
        label = labels.get(first[digest].label or '')
        if label and (row.label is None or row.deleted_at):
            Image.objects.filter(pk=row.pk).update(label=label)
    Image.objects.filter(pk__in=[row.pk for row in known.values()], deleted_at__isnull=False).update(
        deleted_at=None
    )
    after = _rows(project, first)
    return {digest: _outcome(row, known.get(digest), stored.get(digest)) for digest, row in after.items()}


def _rows(project: Project, digests: Iterable[str]) -> dict[str, Image]:
    rows = Image.objects.filter(project=project, digest__in=list(digests)).select_related('label')
    return {row.digest: row for row in rows}


def _row(
    project: Project,
    user: AbstractBaseUser | None,
    item: _Candidate,
    stored: _Stored,
    labels: dict[str, Label],
) -> Image:
    return Image(
        id=stored.id,
        project=project,
        name=item.name,
        digest=item.digest,
        key=stored.key,
        thumbnail_key=stored.thumbnail_key,
        width=stored.width,
        height=stored.height,
        size=stored.size,
        label=labels.get(item.label or ''),
        added_by_id=None if user is None else user.pk,
    )


def _outcome(row: Image, before: Image | None, stored: _Stored | None) -> UploadResult:
    label = row.label.name if row.label else None
    verdict = UploadResult(
        row.name, 'duplicate', f'is already in the project as “{row.name}”', str(row.id), label
    )
    if stored and row.id == stored.id:
        return replace(verdict, outcome='created', reason='')
    if before and before.deleted_at:
        return replace(verdict, outcome='restored', reason='was in the trash and is back')
    if before and before.label is None and label:
        return replace(verdict, reason=f'{verdict.reason}; it had no label and is now “{label}”')
    return verdict


def _verdict(
    item: _Candidate, first: dict[str, _Candidate], rows: dict[str, UploadResult], reasons: dict[str, str]
) -> UploadResult:
    if reason := reasons.get(item.digest):
        return UploadResult(item.name, 'rejected', reason)
    found = rows.get(item.digest)
    if found is None:
        return UploadResult(
            item.name, 'rejected', 'was removed from the project at this moment; add it again'
        )
    if first[item.digest] is item:
        return replace(found, name=item.name)
    reason = f'is the same image as “{first[item.digest].name}”'
    return UploadResult(item.name, 'duplicate', reason, found.image_id, found.label)


def _forget(project: Project, image_ids: Iterable[uuid.UUID]) -> None:
    """Delete stored bytes that got no row."""
    for image_id in image_ids:
        for key in (f'images/{project.pk}/{image_id}.jpg', f'images/{project.pk}/{image_id}.png'):
            storage.delete(key)
        storage.delete(f'thumbnails/{project.pk}/{image_id}.jpg')
