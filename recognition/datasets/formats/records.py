"""The records that all annotation formats are read into, and the checks that they share.

Boxes are end-exclusive pixels of the upright image. Files are checked against the uploaded images: names are
matched with theirs and never opened as paths, sizes must be equal, boxes must be on the image. What fails is
listed; the rest is imported.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from recognition.errors import InvalidInputError, TooLargeError
from recognition.naming import clean_name, make_printable

MAX_DOCUMENT_BYTES = 128 * 1024 * 1024  # of one annotation file
MAX_BOXES = 500_000  # of one import
MAX_BOXES_PER_IMAGE = 2_000
MIN_BOX_SIDE = 1.0  # pixels
MAX_LISTED_REJECTIONS = 1_000  # that are listed; all are counted


@dataclass(frozen=True)
class ImageSize:
    """Pixels of an uploaded image, upright."""

    width: int
    height: int


@dataclass(frozen=True)
class Box:
    label: str
    x0: float
    y0: float
    x1: float
    y1: float
    difficult: bool = False


@dataclass(frozen=True)
class AnnotatedImage:
    name: str  # of the uploaded image
    size: ImageSize
    boxes: tuple[Box, ...]  # none: the image is empty


@dataclass(frozen=True)
class Rejection:
    """A reason why something was not imported."""

    where: str  # the image, or else the file
    reason: str


@dataclass(frozen=True)
class Annotations:
    labels: tuple[str, ...]
    images: tuple[AnnotatedImage, ...]
    rejected: tuple[Rejection, ...] = ()
    rejected_count: int = 0  # may be more than are listed


@dataclass
class AnnotationCollector:
    """Collects the annotations of one import: `image` and `box` check them against the uploaded images."""

    uploaded: Mapping[str, ImageSize]
    labels: dict[str, None] = field(default_factory=dict)
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    rejections: list[Rejection] = field(default_factory=list)
    rejected_count: int = 0
    box_count: int = 0
    images_with_rejections: set[str] = field(default_factory=set)  # images of which a box was rejected

    def __post_init__(self) -> None:
        self._by_name: dict[str, list[str]] = {}
        for name in self.uploaded:
            for alias in {
                alias
                for end in _iterate_path_ends(name)
                for alias in (end, str(PurePosixPath(end).with_suffix('')))
            }:
                self._by_name.setdefault(alias, []).append(name)

    def reject(self, where: str, reason: str) -> None:
        self.rejected_count += 1
        self.images_with_rejections.add(where)
        if len(self.rejections) < MAX_LISTED_REJECTIONS:
            self.rejections.append(Rejection(make_printable(where, 200), reason))

    def label(self, text: str) -> str | None:
        """Note a class name; None when it is invalid."""
        try:
            name = clean_name(text, field='label')
        except InvalidInputError:
            return None
        self.labels.setdefault(name)
        return name

    def image(self, stated_name: str, width: float = 0, height: float = 0, *, where: str = '') -> str | None:
        """Match a name in a file with an uploaded image, and note that it is annotated; None when it is
        rejected.

        The name must be that of an upload, or its last parts must match exactly one; an image beside `where`,
        the annotation file, comes first. `width` and `height` (0: not stated) must be the upload's: boxes
        drawn on a rotated photo would otherwise be misplaced.
        """
        try:
            path = normalize_path(stated_name)
        except ValueError as error:
            self.reject(stated_name, str(error))
            return None
        matches = self._beside(path, where) or self.find(path)
        if len(matches) != 1:
            self.reject(
                stated_name,
                'several uploaded images have this name' if matches else 'no uploaded image has this name',
            )
            return None
        size = self.uploaded[matches[0]]
        if (width and width != size.width) or (height and height != size.height):
            self.reject(
                stated_name,
                f'the file says {width:g} x {height:g} pixels; the image has {size.width} x {size.height}',
            )
            return None
        self.boxes.setdefault(matches[0], [])
        return matches[0]

    def find(self, path: str) -> list[str]:
        """The uploads that a name may refer to: that one, or those that share its longest end."""
        if path in self.uploaded:
            return [path]
        return next((self._by_name[end] for end in _iterate_path_ends(path) if end in self._by_name), [])

    def has_unique(self, path: str) -> bool:
        """Whether exactly one upload ends in this path, with its suffix or without."""
        return path in self.uploaded or len(self._by_name.get(path, ())) == 1

    def _beside(self, path: str, where: str) -> list[str]:
        """Find images beside the annotation file: training and test sets often have equal names in different
        folders.
        """
        folders = PurePosixPath(where.replace('\\', '/')).parts[:-1]
        places = [folders]
        for depth, folder in enumerate(folders):
            if folder.lower() in ('annotations', 'labels'):
                places += [
                    (*folders[:depth], images, *folders[depth + 1 :]) for images in ('images', 'JPEGImages')
                ]
        names = (str(PurePosixPath(*place, path)) for place in places if place)
        return next((self.find(name) for name in names if self.has_unique(name)), [])

    def box(
        self, image: str, label: str, corners: tuple[float, float, float, float], difficult: bool = False
    ) -> None:
        """Add one box, clipped to the image; an invalid box is rejected."""
        self.box_count += 1
        if self.box_count > MAX_BOXES:
            raise TooLargeError(f'more than {MAX_BOXES:,} boxes in one import')
        known, size = self.label(label), self.uploaded[image]
        if known is None:
            return self.reject(image, f'{make_printable(label, 200)!r} cannot be a class name')
        if len(self.boxes[image]) >= MAX_BOXES_PER_IMAGE:
            return self.reject(image, f'more than {MAX_BOXES_PER_IMAGE:,} boxes on one image')
        if not all(math.isfinite(corner) for corner in corners):
            return self.reject(image, 'a box with a corner that is not a number')
        x0, x1 = (min(max(corner, 0.0), float(size.width)) for corner in corners[::2])
        y0, y1 = (min(max(corner, 0.0), float(size.height)) for corner in corners[1::2])
        if x1 - x0 < MIN_BOX_SIDE or y1 - y0 < MIN_BOX_SIDE:
            return self.reject(
                image, f'the box {"  ".join(f"{corner:g}" for corner in corners)} has no pixel on the image'
            )
        self.boxes[image].append(Box(known, x0, y0, x1, y1, difficult))
        return None

    def finish(self) -> Annotations:
        # An image all of whose boxes were rejected is not empty: it stays unlabelled.
        annotated = (
            (name, boxes)
            for name, boxes in self.boxes.items()
            if boxes or name not in self.images_with_rejections
        )
        images = tuple(AnnotatedImage(name, self.uploaded[name], tuple(boxes)) for name, boxes in annotated)
        return Annotations(tuple(self.labels), images, tuple(self.rejections), self.rejected_count)


def _iterate_path_ends(name: str) -> Iterator[str]:
    """a/b/c.jpg, b/c.jpg, c.jpg"""
    parts = PurePosixPath(name).parts
    return (str(PurePosixPath(*parts[start:])) for start in range(len(parts)))


def normalize_path(name: str) -> str:
    """A file's name for an image as a relative path with forward slashes; ValueError when it points
    elsewhere.
    """
    text = unicodedata.normalize('NFC', name).strip().replace('\\', '/')
    if not text or len(text) > 1_000 or not text.isprintable():
        raise ValueError('not a file name')
    if text.startswith('/') or re.match(r'[A-Za-z][A-Za-z0-9+.-]*:', text) or '..' in text.split('/'):
        raise ValueError('a name of an image must not be a path or an address outside the upload')
    return str(PurePosixPath(text))


def assign_file_names(
    images: tuple[AnnotatedImage, ...], suffix: str
) -> Iterator[tuple[AnnotatedImage, str]]:
    """Each image with the name of a file of its own, safe to unpack: its own name with another suffix where
    that is free.

    Names that differ in case or suffix only keep the whole name; one that is not a relative path becomes a
    number.
    """
    used: set[str] = set()
    for index, image in enumerate(images, 1):
        try:
            path = normalize_path(image.name)
        except ValueError:
            path = f'image-{index}'
        choices = (str(PurePosixPath(path).with_suffix(suffix)), f'{path}{suffix}', f'{path}-{index}{suffix}')
        chosen = next(choice for choice in choices if choice.casefold() not in used)
        used.add(chosen.casefold())
        yield image, chosen


def check_size(data: bytes, where: str) -> bytes:
    if len(data) > MAX_DOCUMENT_BYTES:
        raise TooLargeError(
            f'{make_printable(where, 200)} has {len(data):,} bytes; an annotation file may have '
            f'{MAX_DOCUMENT_BYTES:,}'
        )
    return data


def decode_text(data: bytes, where: str) -> str:
    """Text of a bounded file; InvalidInputError naming it unless it is UTF-8."""
    try:
        return check_size(data, where).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise InvalidInputError(f'{make_printable(where, 200)} is not UTF-8 text') from error


def parse_number(value: object) -> float:
    """A number that a file gave as a number or as text; NaN for anything else, which `box` then rejects."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def format_number(value: float) -> str:
    """The shortest text that reads back as the same number."""
    return str(int(value)) if value == int(value) else repr(float(value))
