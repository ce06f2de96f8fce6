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
from recognition.datasets.decoding import DecodedImage, ImageHeader, decode_upright, read_header
from recognition.datasets.upload_results import IncomingFile, UploadResult
from recognition.errors import GraftError, TooLargeError
from recognition.models import Image, Label, Project
from recognition.models.project import Task

THUMBNAIL_SIDE = 256  # pixels
BATCH_FILES = 64  # of one transaction
BATCH_BYTES = 64 * 2**20  # held in memory at once
LOSSLESS = ('PNG', 'GIF', 'BMP')
LOSSLESS_PIXELS = 1_000_000  # up to here they stay lossless (PNG); a larger one becomes a JPEG
DECODE_THREADS = min(4, os.cpu_count() or 1)  # decoders let go of the interpreter's lock


@dataclass(frozen=True)
class _FileContent:
    """A file whose bytes were read."""

    name: str  # shown
    label: str | None
    data: bytes
    digest: str


@dataclass(frozen=True)
class _StoredImage:
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
    with ThreadPoolExecutor(DECODE_THREADS, thread_name_prefix='decode') as threads:
        for batch in _iterate_batches(files):
            verdicts += _add_batch(project, user, batch, threads)
    return verdicts


def _iterate_batches(
    files: Iterable[IncomingFile | UploadResult],
) -> Iterator[list[_FileContent | UploadResult]]:
    batch: list[_FileContent | UploadResult] = []
    held = 0
    for file in files:
        item = file if isinstance(file, UploadResult) else _read_file(file)
        held += len(item.data) if isinstance(item, _FileContent) else 0
        batch.append(item)
        if len(batch) >= BATCH_FILES or held >= BATCH_BYTES:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _read_file(file: IncomingFile) -> _FileContent | UploadResult:
    name = naming.make_printable(file.name)
    try:
        label = None if file.label is None else naming.clean_name(file.label, field='label')
        if file.size > settings.MAX_IMAGE_BYTES:
            raise TooLargeError(f'is larger than {settings.MAX_IMAGE_BYTES // 2**20} MB')
        data = file.read()
    except GraftError as error:
        return UploadResult(name, 'rejected', error.message)
    return _FileContent(name, label, data, hashlib.sha256(data).hexdigest())


def _add_batch(
    project: Project,
    user: AbstractBaseUser | None,
    batch: list[_FileContent | UploadResult],
    threads: ThreadPoolExecutor,
) -> list[UploadResult]:
    first: dict[str, _FileContent] = {}
    for item in batch:
        if isinstance(item, _FileContent):
            first.setdefault(item.digest, item)
    known = (
        set(Image.objects.filter(project=project, digest__in=first).values_list('digest', flat=True))
        if first
        else set()
    )
    fresh = {digest: uuid.uuid4() for digest in first if digest not in known}
    try:
        tasks = {
            digest: threads.submit(_store_image, project.pk, key, first[digest].data)
            for digest, key in fresh.items()
        }
        wait(tasks.values())
        taken = {digest: task.result() for digest, task in tasks.items()}
        stored = {digest: result for digest, result in taken.items() if isinstance(result, _StoredImage)}
        rows = _write_rows(project, user, first, stored) if first else {}
    except BaseException:
        _delete_stored(project, fresh.values())
        raise
    _delete_stored(
        project, (item.id for digest, item in stored.items() if rows[digest].image_id != str(item.id))
    )
    reasons = {digest: result for digest, result in taken.items() if isinstance(result, str)}
    return [
        item if isinstance(item, UploadResult) else _verdict(item, first, rows, reasons) for item in batch
    ]


def _store_image(project_id: uuid.UUID, image_id: uuid.UUID, data: bytes) -> _StoredImage | str:
    """Verify and store one image (in a thread, so no database here); a string is the reason why not."""
    try:
        facts, kept, suffix, thumbnail = _transcode(data)
    except GraftError as error:
        return error.message
    key, thumbnail_key = f'images/{project_id}/{image_id}.{suffix}', f'thumbnails/{project_id}/{image_id}.jpg'
    storage.save(key, kept)
    storage.save(thumbnail_key, thumbnail)
    return _StoredImage(image_id, key, thumbnail_key, facts.width, facts.height, len(kept))


def _transcode(data: bytes) -> tuple[ImageHeader, bytes, str, bytes]:
    """Facts, the bytes to keep, their suffix, and a thumbnail. A JPEG that is upright keeps its pixels as they are."""
    facts = read_header(data)
    if facts.format == 'JPEG' and facts.orientation == 1 and facts.mode in ('RGB', 'L'):
        upright = decode_upright(data, THUMBNAIL_SIDE)
        try:
            return facts, jpeg.strip_metadata(data), 'jpg', _make_thumbnail(upright)
        except jpeg.MalformedJpegError:
            pass  # it can be decoded all the same: write it anew below
    upright = decode_upright(data)
    if facts.format in LOSSLESS and facts.width * facts.height <= LOSSLESS_PIXELS:
        return facts, _encode(upright, 'PNG', compress_level=4), 'png', _make_thumbnail(upright)
    return facts, _encode(upright, 'JPEG', quality=95), 'jpg', _make_thumbnail(upright)


def _encode(upright: DecodedImage, format: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    upright.picture.save(buffer, format, icc_profile=upright.profile, **options)
    return buffer.getvalue()


def _make_thumbnail(upright: DecodedImage) -> bytes:
    small = upright.picture.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), reducing_gap=2.0)
    return _encode(replace(upright, picture=small), 'JPEG', quality=80)


@transaction.atomic
def _write_rows(
    project: Project,
    user: AbstractBaseUser | None,
    first: dict[str, _FileContent],
    stored: dict[str, _StoredImage],
) -> dict[str, UploadResult]:
    """Digest -> what became of the first file with it."""
    known = _find_images(project, first)
    labels = {
        name: dataset_labels.get_or_create_label(project, name)
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
            _make_image(project, user, first[digest], item, labels)
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
    after = _find_images(project, first)
    return {
        digest: _make_row_result(row, known.get(digest), stored.get(digest)) for digest, row in after.items()
    }


def _find_images(project: Project, digests: Iterable[str]) -> dict[str, Image]:
    rows = Image.objects.filter(project=project, digest__in=list(digests)).select_related('label')
    return {row.digest: row for row in rows}


def _make_image(
    project: Project,
    user: AbstractBaseUser | None,
    item: _FileContent,
    stored: _StoredImage,
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


def _make_row_result(row: Image, before: Image | None, stored: _StoredImage | None) -> UploadResult:
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
    item: _FileContent, first: dict[str, _FileContent], rows: dict[str, UploadResult], reasons: dict[str, str]
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


def _delete_stored(project: Project, image_ids: Iterable[uuid.UUID]) -> None:
    """Delete stored bytes that got no row."""
    for image_id in image_ids:
        for key in (f'images/{project.pk}/{image_id}.jpg', f'images/{project.pk}/{image_id}.png'):
            storage.delete(key)
        storage.delete(f'thumbnails/{project.pk}/{image_id}.jpg')
