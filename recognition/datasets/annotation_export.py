"""Export a project's boxes as a zip in a format that other programs read, with the images or without."""

from __future__ import annotations

import json
import uuid
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Literal, cast, get_args

from recognition import storage
from recognition.datasets import archives, box_annotations
from recognition.datasets.formats import coco, csv_table, voc, yolo
from recognition.datasets.formats.records import AnnotatedImage, Annotations, Box, ImageSize, normalize_path
from recognition.errors import InvalidInputError
from recognition.models import Image, Label, Project
from transfer.runtime.atomic_write import replace_file

ExportFormat = Literal['voc', 'coco', 'yolo', 'csv']
FORMATS = get_args(ExportFormat)
WRITERS: dict[str, Callable[[Annotations], Iterator[tuple[str, bytes]]]] = {
    'voc': voc.write,
    'coco': coco.write,
    'yolo': yolo.write,
    'csv': csv_table.write,
}
# Where each format expects the images.
IMAGE_FOLDERS = {
    'voc': 'JPEGImages',
    'coco': 'images',
    'yolo': 'images',
    'csv': 'images',
}
GENERIC_FOLDERS = ('images', 'jpegimages', 'labels', 'annotations')
MANIFEST = 'manifest.json'


@dataclass(frozen=True)
class ExportManifest:
    """The contents of a zip; it contains them as manifest.json."""

    format: str
    labels: tuple[str, ...]
    images: int  # with annotations
    empty: int  # of them: marked as having no object
    boxes: int
    boxes_per_label: dict[str, int]
    difficult: int  # of the boxes
    difficult_kept: bool  # YOLO cannot mark them
    photos: int  # image files, those without annotations included


def write_zip(project: Project, format: str, target: IO[bytes], *, photos: bool = True) -> ExportManifest:
    """Write the annotations of all images that are not in the trash, and the images (also those without
    annotations).

    Errors: InvalidInputError (an unknown format).
    """
    prepared = _prepare(project, format, photos)
    for _ in _write_steps(prepared, target):
        pass
    return prepared.written


def write_zip_file(project: Project, format: str, path: Path, *, photos: bool = True) -> ExportManifest:
    """Write the zip to a file of this machine, atomically. Errors: as write_zip; OSError."""
    with replace_file(path) as temporary, temporary.open('wb') as target:
        return write_zip(project, format, target, photos=photos)


def stream_zip(project: Project, format: str, *, photos: bool = True) -> Iterator[bytes]:
    """Yield the same zip piece by piece, so that a set of any size starts to arrive at once and fills no
    disk.

    Errors, before the first piece: InvalidInputError.
    """
    buffer = _Buffer()
    prepared = _prepare(project, format, photos)
    return (buffer.take() for _ in _write_steps(prepared, cast(IO[bytes], buffer)))


class _Buffer:
    """A file that holds what is written until it is taken."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def write(self, data: bytes) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def flush(self) -> None:
        pass

    def take(self) -> bytes:
        parts, self._parts = self._parts, []
        return b''.join(parts)


@dataclass(frozen=True)
class _PreparedExport:
    written: ExportManifest
    annotations: Annotations
    photos: dict[str, str]  # path in the zip -> key in storage


def _prepare(project: Project, format: str, photos: bool) -> _PreparedExport:
    if format not in FORMATS:
        raise InvalidInputError(f'format must be one of {", ".join(FORMATS)}', field='format')
    names = assign_file_names(project)
    keys = dict(Image.objects.filter(project=project, deleted_at=None).values_list('id', 'key'))
    files = (
        {f'{IMAGE_FOLDERS[format]}/{name}': keys[key] for key, name in names.items() if key in keys}
        if photos
        else {}
    )
    annotations = _read_annotations(project, names)
    return _PreparedExport(_make_manifest(annotations, format, len(files)), annotations, files)


def _write_steps(prepared: _PreparedExport, target: IO[bytes]) -> Iterator[None]:
    """Write one entry a step."""
    with zipfile.ZipFile(target, 'w', zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(MANIFEST, json.dumps(vars(prepared.written), ensure_ascii=False, indent=1))
        for name, data in WRITERS[prepared.written.format](prepared.annotations):
            archive.writestr(name, data)
            yield
        for name, key in prepared.photos.items():
            # Images are compressed already: compressing them again is slow and gains nothing.
            archive.writestr(name, storage.read(key), zipfile.ZIP_STORED)
            yield
    yield  # the directory at the end


def assign_file_names(project: Project) -> dict[uuid.UUID, str]:
    """Assign each present image a unique name: that of its file, where no other has it and it is safe to
    unpack.

    Folders that contain all of them are removed, and those named images or labels: other programs take the
    last of these in a path for their own.
    """
    rows = list(Image.objects.present().filter(project=project).values_list('id', 'name', 'digest', 'key'))
    lean = {
        key: _remove_image_folders(_make_safe_name(name, digest, stored))
        for key, name, digest, stored in rows
    }
    around = archives.find_common_folder(lean.values())
    plain = {key: str(PurePosixPath(path).relative_to(around)) for key, path in lean.items()}
    shared = {
        name for name, count in Counter(name.casefold() for name in plain.values()).items() if count > 1
    }
    return {
        key: _append_digest(plain[key], digest) if plain[key].casefold() in shared else plain[key]
        for key, _, digest, _ in rows
    }


def _remove_image_folders(path: str) -> str:
    *folders, name = PurePosixPath(path).parts
    return '/'.join([*(folder for folder in folders if folder.lower() not in GENERIC_FOLDERS), name])


def _make_safe_name(name: str, digest: str, stored: str) -> str:
    suffix = PurePosixPath(stored).suffix
    try:
        path = normalize_path(name)
    except ValueError:
        return f'image-{digest[:12]}{suffix}'
    if archives.may_hold_image(path):
        return path
    return f'{path}{suffix}' if archives.may_hold_image(f'{path}{suffix}') else f'image-{digest[:12]}{suffix}'


def _append_digest(name: str, digest: str) -> str:
    path = PurePosixPath(name)
    return str(path.with_name(f'{path.stem}-{digest[:12]}{path.suffix}'))


def _read_annotations(project: Project, names: dict[uuid.UUID, str]) -> Annotations:
    labels = tuple(Label.objects.filter(project=project).order_by('name').values_list('name', flat=True))
    return Annotations(
        labels,
        tuple(_iterate_annotated_images(box_annotations.list_annotated_images(project).iterator(500), names)),
    )


def _iterate_annotated_images(rows: Iterable[Image], names: dict[uuid.UUID, str]) -> Iterator[AnnotatedImage]:
    for row in rows:
        if name := names.get(row.pk):  # none: it was uploaded after the names were read
            yield AnnotatedImage(
                name,
                ImageSize(row.width, row.height),
                tuple(box_annotations.make_box(box) for box in row.boxes.all()),
            )


def _make_manifest(annotations: Annotations, format: str, photos: int) -> ExportManifest:
    boxes: list[Box] = [box for image in annotations.images for box in image.boxes]
    counts = Counter(box.label for box in boxes)
    return ExportManifest(
        format=format,
        labels=annotations.labels,
        images=len(annotations.images),
        empty=sum(not image.boxes for image in annotations.images),
        boxes=len(boxes),
        boxes_per_label={label: counts[label] for label in annotations.labels},
        difficult=sum(box.difficult for box in boxes),
        difficult_kept=format != 'yolo',
        photos=photos,
    )
