"""Adding images to a project: verify, digest, find copies, turn image, strip, store, and only then write the
rows.
"""

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
from recognition.datasets.decoding import DecodedImage, ImageHeader, decode_image, read_header
from recognition.datasets.upload_results import IncomingFile, UploadResult
from recognition.errors import GraftError, TooLargeError
from recognition.models import Image, Label, Project
from recognition.models.project import Task

THUMBNAIL_SIDE = 256  # pixels
BATCH_FILES = 64  # of one transaction
BATCH_BYTES = 64 * 2**20  # in memory at once
LOSSLESS = ('PNG', 'GIF', 'BMP')
LOSSLESS_PIXELS = 1_000_000  # up to here they stay lossless (PNG); a larger one becomes a JPEG
DECODE_THREADS = min(4, os.cpu_count() or 1)  # decoders release the interpreter's lock


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
    """Add every file, or report why not; one bad file never affects the others.

    Upload results among `files` (entries that an archive rejected) pass through. Results are in the order of
    `files`. Bytes are stored before rows are written, and the rows of a batch in one transaction: an error
    leaves neither. In a detection project folders name no classes.
    """
    results: list[UploadResult] = []
    if project.task == Task.DETECTION:
        files = (replace(file, label=None) if isinstance(file, IncomingFile) else file for file in files)
    with ThreadPoolExecutor(DECODE_THREADS, thread_name_prefix='decode') as threads:
        for batch in _iterate_batches(files):
            results += _add_batch(project, user, batch, threads)
    return results


def _iterate_batches(
    files: Iterable[IncomingFile | UploadResult],
) -> Iterator[list[_FileContent | UploadResult]]:
    batch: list[_FileContent | UploadResult] = []
    size = 0
    for file in files:
        item = file if isinstance(file, UploadResult) else _read_file(file)
        size += len(item.data) if isinstance(item, _FileContent) else 0
        batch.append(item)
        if len(batch) >= BATCH_FILES or size >= BATCH_BYTES:
            yield batch
            batch, size = [], 0
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
        return UploadResult(name, 'rejected', error.message, code=error.code)
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
        outcomes = {digest: task.result() for digest, task in tasks.items()}
        stored = {digest: result for digest, result in outcomes.items() if isinstance(result, _StoredImage)}
        rows = _write_rows(project, user, first, stored) if first else {}
    except BaseException:
        _delete_stored(project, fresh.values())
        raise
    _delete_stored(
        project, (item.id for digest, item in stored.items() if rows[digest].image_id != str(item.id))
    )
    errors = {digest: result for digest, result in outcomes.items() if isinstance(result, GraftError)}
    return [
        item if isinstance(item, UploadResult) else _make_result(item, first, rows, errors) for item in batch
    ]


def _store_image(project_id: uuid.UUID, image_id: uuid.UUID, data: bytes) -> _StoredImage | GraftError:
    """Check and store one image (in a thread, so without the database); an error is why it is rejected."""
    try:
        header, stored, suffix, thumbnail = _transcode(data)
    except GraftError as error:
        return error
    key, thumbnail_key = f'images/{project_id}/{image_id}.{suffix}', f'thumbnails/{project_id}/{image_id}.jpg'
    storage.save(key, stored)
    storage.save(thumbnail_key, thumbnail)
    return _StoredImage(image_id, key, thumbnail_key, header.width, header.height, len(stored))


def _transcode(data: bytes) -> tuple[ImageHeader, bytes, str, bytes]:
    """Header, the bytes to store, their suffix, and a thumbnail. A JPEG that is upright is not compressed
    again.
    """
    header = read_header(data)
    if header.format == 'JPEG' and header.orientation == 1 and header.mode in ('RGB', 'L'):
        decoded = decode_image(data, THUMBNAIL_SIDE)
        try:
            return header, jpeg.strip_metadata(data), 'jpg', _make_thumbnail(decoded)
        except jpeg.MalformedJpegError:
            pass  # it can still be decoded: encode it again below
    decoded = decode_image(data)
    if header.format in LOSSLESS and header.width * header.height <= LOSSLESS_PIXELS:
        return header, _encode(decoded, 'PNG', compress_level=4), 'png', _make_thumbnail(decoded)
    return header, _encode(decoded, 'JPEG', quality=95), 'jpg', _make_thumbnail(decoded)


def _encode(decoded: DecodedImage, format: str, **options: int) -> bytes:
    buffer = io.BytesIO()
    decoded.rgb.save(buffer, format, icc_profile=decoded.profile, **options)
    return buffer.getvalue()


def _make_thumbnail(decoded: DecodedImage) -> bytes:
    small = decoded.rgb.copy()
    small.thumbnail((THUMBNAIL_SIDE, THUMBNAIL_SIDE), reducing_gap=2.0)
    return _encode(replace(decoded, rgb=small), 'JPEG', quality=80)


@transaction.atomic
def _write_rows(
    project: Project,
    user: AbstractBaseUser | None,
    first: dict[str, _FileContent],
    stored: dict[str, _StoredImage],
) -> dict[str, UploadResult]:
    """Write the rows of a batch. Returns digest -> result of the first file with it."""
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
    # Another upload may write the same image at this moment: the constraint decides, and the rows are read
    # again.
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
    result = UploadResult(
        row.name, 'duplicate', f'is already in the project as “{row.name}”', str(row.id), label
    )
    if stored and row.id == stored.id:
        return replace(result, outcome='created', reason='')
    if before and before.deleted_at:
        return replace(result, outcome='restored', reason='was in the trash and is restored')
    if before and before.label is None and label:
        return replace(result, reason=f'{result.reason}; it had no label and is now “{label}”')
    return result


def _make_result(
    item: _FileContent,
    first: dict[str, _FileContent],
    rows: dict[str, UploadResult],
    errors: dict[str, GraftError],
) -> UploadResult:
    if error := errors.get(item.digest):
        return UploadResult(item.name, 'rejected', error.message, code=error.code)
    result = rows.get(item.digest)
    if result is None:
        reason = 'was removed from the project at this moment; add it again'
        return UploadResult(item.name, 'rejected', reason, code='conflict')
    if first[item.digest] is item:
        return replace(result, name=item.name)
    reason = f'is the same image as “{first[item.digest].name}”'
    return UploadResult(item.name, 'duplicate', reason, result.image_id, result.label)


def _delete_stored(project: Project, image_ids: Iterable[uuid.UUID]) -> None:
    """Delete stored files that got no row."""
    for image_id in image_ids:
        for key in (f'images/{project.pk}/{image_id}.jpg', f'images/{project.pk}/{image_id}.png'):
            storage.delete(key)
        storage.delete(f'thumbnails/{project.pk}/{image_id}.jpg')
