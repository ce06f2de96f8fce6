"""Import images and annotations of other programs: a zip with both, or annotations for images of the
project."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import IO

from django.contrib.auth.base_user import AbstractBaseUser
from django.db import models, transaction
from django.utils import timezone

from recognition import audit
from recognition.datasets import annotation_export, archives, box_annotations, uploads
from recognition.datasets.formats import coco, csv_table, voc, yolo
from recognition.datasets.formats.records import (
    MAX_LISTED_REJECTIONS,
    AnnotatedImage,
    AnnotationCollector,
    Annotations,
    Box,
    ImageSize,
    Rejection,
)
from recognition.datasets.upload_results import IncomingFile, UploadResult
from recognition.errors import ConflictError, GraftError, InvalidInputError, TooLargeError
from recognition.models import Annotation, Image, Label, Project
from recognition.models.project import Task

MAX_DOCUMENTS_BYTES = 256 * 2**20  # of all annotation files of one import together
CHUNK_SIZE = 200  # images of one transaction

Documents = Sequence[tuple[str, bytes]]


@dataclass(frozen=True)
class AnnotationImport:
    """The result of one import. `rejected` lists what was not imported; `rejected_count` may be more than are
    listed.
    """

    results: tuple[UploadResult, ...] = ()  # of the photos
    format: str = ''  # '': there were no annotations
    images: int = 0  # whose boxes are now those of the files
    boxes: int = 0  # on them
    empty: int = 0  # of these images: without objects
    unchanged: int = 0  # of these images: had the same boxes before
    not_overwritten: int = 0  # images with other boxes, which were not overwritten
    labels: tuple[str, ...] = ()
    rejected: tuple[Rejection, ...] = ()
    rejected_count: int = 0


def import_files(
    project: Project,
    user: AbstractBaseUser | None,
    files: Sequence[tuple[str, IO[bytes]]],
    *,
    paths: Sequence[str] = (),
    format: str = '',
    overwrite: bool = False,
) -> AnnotationImport:
    """Import images, annotation files, and zips of either or both. `paths`: of each file in a dropped folder.

    format: one of annotation_export.FORMATS; '' detects it. overwrite: also images whose boxes a user saved
    before. Names of images in annotations are matched with the images of this upload, or, when it has none,
    of the project. Errors: ConflictError (a project of another task), InvalidInputError, TooLargeError. When
    the upload has images, those are stored, and what is wrong with the annotation files is listed in the
    result instead.
    """
    if paths and len(paths) != len(files):
        raise InvalidInputError(
            f'There are {len(files)} files but {len(paths)} paths.', field='relative_paths'
        )
    named = [(path, file) for path, (_, file) in zip(paths, files, strict=True)] if paths else list(files)
    images = [(name, file) for name, file in named if not archives.is_document(name)]
    photos = archives.read_files(images, paths=[name for name, _ in images] if paths else (), wrapper='')
    return import_annotations(
        project, user, photos, archives.read_documents(named), format=format, overwrite=overwrite
    )


def import_folder(
    project: Project,
    user: AbstractBaseUser | None,
    folder: Path,
    *,
    format: str = '',
    overwrite: bool = False,
) -> AnnotationImport:
    """Import the images and annotations below a folder of this machine; else as import_files."""
    photos, documents = archives.read_folder(folder), archives.read_folder_documents(folder)
    return import_annotations(project, user, photos, documents, format=format, overwrite=overwrite)


def import_annotations(
    project: Project,
    user: AbstractBaseUser | None,
    photos: Iterable[IncomingFile | UploadResult],
    documents: Iterable[tuple[str, bytes]],
    *,
    format: str = '',
    overwrite: bool = False,
) -> AnnotationImport:
    if project.task != Task.DETECTION:
        raise ConflictError('Boxes can be imported into a detection project only.')
    if format and format not in annotation_export.FORMATS:
        raise InvalidInputError(
            f'format must be one of {", ".join(annotation_export.FORMATS)}', field='format'
        )
    results = tuple(
        uploads.add_images(project, user, (item for item in photos if not _is_skipped_document(item)))
    )
    present = {result.name: result.image_id for result in results if result.image_id}
    try:
        read = _parse_documents(format, _read_bounded(documents), project, present)
    except GraftError as error:
        if not present:
            raise
        read = _ParsedFiles('', Annotations((), (), (Rejection('annotations', error.message),), 1), {})
    return _save_annotations(project, user, read, overwrite, results)


def _is_skipped_document(item: IncomingFile | UploadResult) -> bool:
    return isinstance(item, UploadResult) and item.outcome == 'skipped' and archives.is_document(item.name)


def _read_bounded(documents: Iterable[tuple[str, bytes]]) -> Documents:
    documents_read, size = [], 0
    for name, data in documents:
        size += len(data)
        if size > MAX_DOCUMENTS_BYTES:
            raise TooLargeError(
                f'The annotation files have more than {MAX_DOCUMENTS_BYTES // 2**20} MB together.',
                field='files',
            )
        documents_read.append((name, data))
    return documents_read


@dataclass(frozen=True)
class _ParsedFiles:
    format: str
    annotations: Annotations
    ids: Mapping[str, str]  # name in the annotations -> image


def _parse_documents(
    format: str, documents: Documents, project: Project, present: Mapping[str, str]
) -> _ParsedFiles:
    kind = format or _detect_format(documents)
    if not kind:
        if documents and not present:
            raise InvalidInputError(
                'These files are not annotations: VOC XML, COCO JSON, YOLO text with class names, or CSV.',
                field='files',
            )
        return _ParsedFiles('', Annotations((), ()), {})
    ids = present or {name: str(key) for key, name in annotation_export.assign_file_names(project).items()}
    return _ParsedFiles(kind, _parse_format(kind, documents, _find_image_sizes(project, ids)), ids)


def _find_image_sizes(project: Project, ids: Mapping[str, str]) -> dict[str, ImageSize]:
    rows = Image.objects.present().filter(project=project).values_list('id', 'width', 'height')
    sizes = {str(key): ImageSize(width, height) for key, width, height in rows}
    return {name: sizes[key] for name, key in ids.items() if key in sizes}


def _detect_format(documents: Documents) -> str:
    """Detect the format of a set of files. InvalidInputError when there are several."""
    suffixes = Counter(PurePosixPath(name).suffix.lower() for name, _ in documents)
    names = {PurePosixPath(name).name.lower() for name, _ in documents}
    kinds = [
        kind
        for kind, is_present in (
            ('voc', suffixes['.xml']),
            ('coco', any(_is_coco(name, data) for name, data in documents)),
            ('yolo', names & {*yolo.CLASS_FILES, *yolo.DATA_FILES}),
            ('csv', suffixes['.csv']),
        )
        if is_present
    ]
    if len(kinds) > 1:
        raise InvalidInputError(
            f'These files hold annotations of several kinds ({", ".join(kinds)}); name one with format.',
            field='format',
        )
    return kinds[0] if kinds else ''


def _is_coco(name: str, data: bytes) -> bool:
    return name.lower().endswith('.json') and b'"annotations"' in data and b'"images"' in data


def _parse_format(kind: str, documents: Documents, sizes: Mapping[str, ImageSize]) -> Annotations:
    if kind == 'voc':
        return voc.read(((name, data) for name, data in documents if name.lower().endswith('.xml')), sizes)
    if kind == 'yolo':
        return yolo.read(documents, sizes)
    if kind == 'coco':
        read, chosen = coco.read, [(name, data) for name, data in documents if _is_coco(name, data)]
    else:
        read, chosen = (
            csv_table.read,
            [(name, data) for name, data in documents if name.lower().endswith('.csv')],
        )
    if not chosen:
        raise InvalidInputError(f'There is no {kind.upper()} file among these.', field='files')
    return _merge_annotations([read(data, sizes, name) for name, data in chosen])


def _merge_annotations(parts: Sequence[Annotations]) -> Annotations:
    """Merge several files of a set (for training, for testing) into one."""
    merged = AnnotationCollector({})
    for part in parts:
        merged.labels |= dict.fromkeys(part.labels)
        merged.rejections += part.rejected
        merged.rejected_count += part.rejected_count
    boxes: dict[str, AnnotatedImage] = {}
    for image in (image for part in parts for image in part.images):
        before = boxes.get(image.name)
        boxes[image.name] = replace(image, boxes=before.boxes + image.boxes) if before else image
    return Annotations(
        tuple(merged.labels), tuple(boxes.values()), tuple(merged.rejections), merged.rejected_count
    )


def _save_annotations(
    project: Project,
    user: AbstractBaseUser | None,
    read: _ParsedFiles,
    overwrite: bool,
    results: tuple[UploadResult, ...],
) -> AnnotationImport:
    annotations, twice = read.annotations, []
    wanted: dict[uuid.UUID, AnnotatedImage] = {}
    for image in annotations.images:
        if wanted.setdefault(uuid.UUID(read.ids[image.name]), image) is not image:
            twice.append(
                Rejection(
                    image.name,
                    'the upload has this photo twice; the annotations of the first are imported',
                )
            )
    with transaction.atomic():
        labels = box_annotations.get_or_create_labels(project, annotations.labels)
    counts: Counter[str] = Counter()
    keys = list(wanted)
    for start in range(0, len(keys), CHUNK_SIZE):
        counts += _write_boxes(
            user, {key: wanted[key] for key in keys[start : start + CHUNK_SIZE]}, labels, overwrite
        )
    if counts['images'] > counts['unchanged']:
        audit.record(user, 'import boxes', f'{counts["images"]} photos of {audit.describe_project(project)}')
    return AnnotationImport(
        results=results,
        format=read.format,
        labels=annotations.labels,
        rejected=(*annotations.rejected, *twice)[:MAX_LISTED_REJECTIONS],
        rejected_count=annotations.rejected_count + len(twice),
        **{name: counts[name] for name in ('images', 'boxes', 'empty', 'unchanged', 'not_overwritten')},
    )


@transaction.atomic
def _write_boxes(
    user: AbstractBaseUser | None,
    wanted: Mapping[uuid.UUID, AnnotatedImage],
    labels: Mapping[str, Label],
    overwrite: bool,
) -> Counter[str]:
    """Write the boxes of a chunk of images in one transaction. Returns the counts of AnnotationImport."""
    rows = list(Image.objects.select_for_update().present().filter(pk__in=wanted))
    present = _read_boxes(rows)
    counts: Counter[str] = Counter()
    changed: dict[Image, list[Box]] = {}
    for row in rows:
        boxes = [box_annotations.round_box(box) for box in wanted[row.pk].boxes]
        same = row.boxed_at is not None and Counter(present[row.pk]) == Counter(boxes)
        if row.boxed_at is not None and not same and not overwrite:
            counts['not_overwritten'] += 1
            continue
        counts += Counter(images=1, boxes=len(boxes), empty=int(not boxes), unchanged=int(same))
        if not same:
            changed[row] = boxes
    Annotation.objects.filter(image__in=changed).delete()
    Annotation.objects.bulk_create(
        box_annotations.make_annotation(row, box, labels, user)
        for row, boxes in changed.items()
        for box in boxes
    )
    who = None if user is None else user.pk
    touched = Image.objects.filter(pk__in=[row.pk for row in changed])
    touched.update(boxes_version=models.F('boxes_version') + 1, boxed_at=timezone.now(), boxed_by=who)
    return counts


def _read_boxes(rows: Sequence[Image]) -> dict[uuid.UUID, list[Box]]:
    boxes: dict[uuid.UUID, list[Box]] = {row.pk: [] for row in rows}
    for box in Annotation.objects.filter(image__in=rows).select_related('label'):
        boxes[box.image_id].append(box_annotations.make_box(box))
    return boxes
