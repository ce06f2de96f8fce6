"""Photos and annotations of other programs become rows: a zip with both, or annotations for photos that are there already."""

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
    """What became of one import. `refused` lists what was not taken; `refused_count` may be more than are listed."""

    verdicts: tuple[UploadResult, ...] = ()  # of the photos
    format: str = ''  # '': there were no annotations
    images: int = 0  # whose boxes are now as the files say
    boxes: int = 0  # on them
    empty: int = 0  # of these images: nothing is on them
    unchanged: int = 0  # of these images: were so before
    kept: int = 0  # had other boxes, which stayed
    labels: tuple[str, ...] = ()
    refused: tuple[Rejection, ...] = ()
    refused_count: int = 0


def import_files(
    project: Project,
    user: AbstractBaseUser | None,
    files: Sequence[tuple[str, IO[bytes]]],
    *,
    paths: Sequence[str] = (),
    format: str = '',
    overwrite: bool = False,
) -> AnnotationImport:
    """Take in photos, annotation files, and zips of either or both. `paths`: where each file lay in a dropped folder.

    format: one of box_export.FORMATS; '' finds it. overwrite: also on images whose boxes somebody saved before.
    Names of images in annotations are looked for among the photos of this upload, or, when it has none, of the project.
    Errors: ConflictError (a project of another task), InvalidInputError, TooLargeError; with photos in the upload, what is wrong with the
    annotation files is listed instead, and the photos are in.
    """
    if paths and len(paths) != len(files):
        raise InvalidInputError(
            f'There are {len(files)} files but {len(paths)} paths.', field='relative_paths'
        )
    named = [(path, file) for path, (_, file) in zip(paths, files, strict=True)] if paths else list(files)
    pictures = [(name, file) for name, file in named if not archives.is_document(name)]
    photos = archives.read_files(pictures, paths=[name for name, _ in pictures] if paths else (), wrapper='')
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
    """The photos and annotations below a folder of this machine; else as import_files."""
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
        raise ConflictError('Boxes belong to a project that finds things in photos.')
    if format and format not in annotation_export.FORMATS:
        raise InvalidInputError(
            f'format must be one of {", ".join(annotation_export.FORMATS)}', field='format'
        )
    verdicts = tuple(
        uploads.add_images(project, user, (item for item in photos if not _is_skipped_document(item)))
    )
    present = {verdict.name: verdict.image_id for verdict in verdicts if verdict.image_id}
    try:
        read = _parse_documents(format, _read_bounded(documents), project, present)
    except GraftError as error:
        if not present:
            raise
        read = _ParsedFiles('', Annotations((), (), (Rejection('annotations', error.message),), 1), {})
    return _save_annotations(project, user, read, overwrite, verdicts)


def _is_skipped_document(item: IncomingFile | UploadResult) -> bool:
    return isinstance(item, UploadResult) and item.outcome == 'skipped' and archives.is_document(item.name)


def _read_bounded(documents: Iterable[tuple[str, bytes]]) -> Documents:
    held, size = [], 0
    for name, data in documents:
        size += len(data)
        if size > MAX_DOCUMENTS_BYTES:
            raise TooLargeError(
                f'The annotation files have more than {MAX_DOCUMENTS_BYTES // 2**20} MB together.',
                field='files',
            )
        held.append((name, data))
    return held


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
                'These files are no annotations: VOC XML, COCO JSON, YOLO text with class names, or CSV.',
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
    """The format that a set of files speaks. InvalidInputError when it speaks two."""
    suffixes = Counter(PurePosixPath(name).suffix.lower() for name, _ in documents)
    names = {PurePosixPath(name).name.lower() for name, _ in documents}
    kinds = [
        kind
        for kind, found in (
            ('voc', suffixes['.xml']),
            ('coco', any(_is_coco(name, data) for name, data in documents)),
            ('yolo', names & {*yolo.CLASS_FILES, *yolo.DATA_FILES}),
            ('csv', suffixes['.csv']),
        )
        if found
    ]
    if len(kinds) > 1:
        raise InvalidInputError(
            f'These files hold annotations of several kinds ({", ".join(kinds)}); say which with format.',
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
    """Several files of a set (for training, for testing) as one."""
    whole = AnnotationCollector({})
    for part in parts:
        whole.labels |= dict.fromkeys(part.labels)
        whole.refusals += part.refused
        whole.refused_count += part.refused_count
    boxes: dict[str, AnnotatedImage] = {}
    for image in (image for part in parts for image in part.images):
        before = boxes.get(image.name)
        boxes[image.name] = replace(image, boxes=before.boxes + image.boxes) if before else image
    return Annotations(tuple(whole.labels), tuple(boxes.values()), tuple(whole.refusals), whole.refused_count)


def _save_annotations(
    project: Project,
    user: AbstractBaseUser | None,
    read: _ParsedFiles,
    overwrite: bool,
    verdicts: tuple[UploadResult, ...],
) -> AnnotationImport:
    annotations, twice = read.annotations, []
    wanted: dict[uuid.UUID, AnnotatedImage] = {}
    for image in annotations.images:
        if wanted.setdefault(uuid.UUID(read.ids[image.name]), image) is not image:
            twice.append(
                Rejection(
                    image.name,
                    'the same photo lies in the upload twice; the annotations of the first are taken',
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
        audit.record(user, 'import boxes', f'{counts["images"]} photos of project {project.pk}')
    return AnnotationImport(
        verdicts=verdicts,
        format=read.format,
        labels=annotations.labels,
        refused=(*annotations.refused, *twice)[:MAX_LISTED_REJECTIONS],
        refused_count=annotations.refused_count + len(twice),
        **{name: counts[name] for name in ('images', 'boxes', 'empty', 'unchanged', 'kept')},
    )


@transaction.atomic
def _write_boxes(
    user: AbstractBaseUser | None,
    wanted: Mapping[uuid.UUID, AnnotatedImage],
    labels: Mapping[str, Label],
    overwrite: bool,
) -> Counter[str]:
    """Boxes of a chunk of images, in one transaction; the counts of Imported."""
    rows = list(Image.objects.select_for_update().present().filter(pk__in=wanted))
    present = _read_boxes(rows)
    counts: Counter[str] = Counter()
    changed: dict[Image, list[Box]] = {}
    for row in rows:
        boxes = [box_annotations.round_box(box) for box in wanted[row.pk].boxes]
        same = row.boxed_at is not None and Counter(present[row.pk]) == Counter(boxes)
        if row.boxed_at is not None and not same and not overwrite:
            counts['kept'] += 1
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
    found: dict[uuid.UUID, list[Box]] = {row.pk: [] for row in rows}
    for box in Annotation.objects.filter(image__in=rows).select_related('label'):
        found[box.image_id].append(box_annotations.make_box(box))
    return found
