"""What annotation files say, in our own terms, and the checks that every format shares.

Boxes are end-exclusive pixels of the upright image. A file is believed only as far as the uploaded images go: its names are
matched with theirs and never opened, its sizes must be theirs, its boxes must lie on them. What fails is listed; the rest counts.
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
MAX_LISTED_REJECTIONS = 1_000  # that are listed by name; the number of all is told


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
    boxes: tuple[Box, ...]  # none: a person said that there is nothing


@dataclass(frozen=True)
class Rejection:
    """One thing that was not imported."""

    where: str  # the image, or else the file
    reason: str


@dataclass(frozen=True)
class Annotations:
    labels: tuple[str, ...]
    images: tuple[AnnotatedImage, ...]
    refused: tuple[Rejection, ...] = ()
    refused_count: int = 0  # may be more than are listed


@dataclass
class AnnotationCollector:
    """Collects one import: `image` and `box` check what a file says against the uploaded images."""

    uploaded: Mapping[str, ImageSize]
    labels: dict[str, None] = field(default_factory=dict)
    boxes: dict[str, list[Box]] = field(default_factory=dict)
    refusals: list[Rejection] = field(default_factory=list)
    refused_count: int = 0
    box_count: int = 0
    doubtful: set[str] = field(default_factory=set)  # images of which something was refused

    def __post_init__(self) -> None:
        self._by_name: dict[str, list[str]] = {}
        for name in self.uploaded:
            for alias in {
                alias
                for end in _iterate_path_ends(name)
                for alias in (end, str(PurePosixPath(end).with_suffix('')))
            }:
                self._by_name.setdefault(alias, []).append(name)

    def refuse(self, where: str, reason: str) -> None:
        self.refused_count += 1
        self.doubtful.add(where)
        if len(self.refusals) < MAX_LISTED_REJECTIONS:
            self.refusals.append(Rejection(make_printable(where, 200), reason))

    def label(self, text: str) -> str | None:
        """The class name, noted; None when it cannot be one."""
        try:
            name = clean_name(text, field='label')
        except InvalidInputError:
            return None
        self.labels.setdefault(name)
        return name

    def image(self, said: str, width: float = 0, height: float = 0, *, where: str = '') -> str | None:
        """The uploaded image that a file means by a name, noted as annotated; None after a refusal.

        The name must be that of an upload, or its last parts must name exactly one; an image that lies beside `where`, the
        file that says so, comes first. `width` and `height` (0: not told) must be the upload's: boxes drawn on a photo that
        lay on its side would otherwise land elsewhere.
        """
        try:
            path = normalize_path(said)
        except ValueError as error:
            self.refuse(said, str(error))
            return None
        found = self._beside(path, where) or self.found(path)
        if len(found) != 1:
            self.refuse(
                said, 'several uploaded images have this name' if found else 'no uploaded image has this name'
            )
            return None
        size = self.uploaded[found[0]]
        if (width and width != size.width) or (height and height != size.height):
            self.refuse(
                said,
                f'the file says {width:g} x {height:g} pixels; the image has {size.width} x {size.height}',
            )
            return None
        self.boxes.setdefault(found[0], [])
        return found[0]

    def found(self, path: str) -> list[str]:
        """The uploads that a name may mean: it, or those that share the longest end of it."""
        if path in self.uploaded:
            return [path]
        return next((self._by_name[end] for end in _iterate_path_ends(path) if end in self._by_name), [])

    def knows(self, path: str) -> bool:
        """Whether exactly one upload ends like the whole of it, with its suffix or without."""
        return path in self.uploaded or len(self._by_name.get(path, ())) == 1

    def _beside(self, path: str, where: str) -> list[str]:
        """Sets for training and for testing often hold equal names, each with its annotations in a folder of its own."""
        folders = PurePosixPath(where.replace('\\', '/')).parts[:-1]
        places = [folders]
        for depth, folder in enumerate(folders):
            if folder.lower() in ('annotations', 'labels'):
                places += [
                    (*folders[:depth], images, *folders[depth + 1 :]) for images in ('images', 'JPEGImages')
                ]
        names = (str(PurePosixPath(*place, path)) for place in places if place)
        return next((self.found(name) for name in names if self.knows(name)), [])

    def box(
        self, image: str, label: str, corners: tuple[float, float, float, float], difficult: bool = False
    ) -> None:
        """Add one box, cut to the image; a box that is none is refused."""
        self.box_count += 1
        if self.box_count > MAX_BOXES:
            raise TooLargeError(f'more than {MAX_BOXES:,} boxes in one import')
        known, size = self.label(label), self.uploaded[image]
        if known is None:
            return self.refuse(image, f'{make_printable(label, 200)!r} cannot be a class name')
        if len(self.boxes[image]) >= MAX_BOXES_PER_IMAGE:
            return self.refuse(image, f'more than {MAX_BOXES_PER_IMAGE:,} boxes on one image')
        if not all(math.isfinite(corner) for corner in corners):
            return self.refuse(image, 'a box with a corner that is not a number')
        x0, x1 = (min(max(corner, 0.0), float(size.width)) for corner in corners[::2])
        y0, y1 = (min(max(corner, 0.0), float(size.height)) for corner in corners[1::2])
        if x1 - x0 < MIN_BOX_SIDE or y1 - y0 < MIN_BOX_SIDE:
            return self.refuse(
                image, f'the box {"  ".join(f"{corner:g}" for corner in corners)} has no pixel on the image'
            )
        self.boxes[image].append(Box(known, x0, y0, x1, y1, difficult))
        return None

    def finished(self) -> Annotations:
        # An image all of whose boxes were refused does not show nothing: somebody has to look.
        told = ((name, boxes) for name, boxes in self.boxes.items() if boxes or name not in self.doubtful)
        images = tuple(AnnotatedImage(name, self.uploaded[name], tuple(boxes)) for name, boxes in told)
        return Annotations(tuple(self.labels), images, tuple(self.refusals), self.refused_count)


def _iterate_path_ends(name: str) -> Iterator[str]:
    """a/b/c.jpg, b/c.jpg, c.jpg"""
    parts = PurePosixPath(name).parts
    return (str(PurePosixPath(*parts[start:])) for start in range(len(parts)))


def normalize_path(said: str) -> str:
    """A file's name for an image as a relative path with forward slashes; ValueError when it points elsewhere."""
    text = unicodedata.normalize('NFC', said).strip().replace('\\', '/')
    if not text or len(text) > 1_000 or not text.isprintable():
        raise ValueError('not a file name')
    if text.startswith('/') or re.match(r'[A-Za-z][A-Za-z0-9+.-]*:', text) or '..' in text.split('/'):
        raise ValueError('a name of an image must not be a path or an address outside the upload')
    return str(PurePosixPath(text))


def assign_file_names(
    images: tuple[AnnotatedImage, ...], suffix: str
) -> Iterator[tuple[AnnotatedImage, str]]:
    """Each image with the name of a file of its own, safe to unpack: its own name with another suffix where that is free.

    Names that differ in case only, or in the suffix only, keep the whole name; one that is no relative path becomes a number.
    """
    taken: set[str] = set()
    for index, image in enumerate(images, 1):
        try:
            path = normalize_path(image.name)
        except ValueError:
            path = f'image-{index}'
        choices = (str(PurePosixPath(path).with_suffix(suffix)), f'{path}{suffix}', f'{path}-{index}{suffix}')
        chosen = next(choice for choice in choices if choice.casefold() not in taken)
        taken.add(chosen.casefold())
        yield image, chosen


def check_size(data: bytes, where: str) -> bytes:
    if len(data) > MAX_DOCUMENT_BYTES:
        raise TooLargeError(
            f'{make_printable(where, 200)} has {len(data):,} bytes; an annotation file may have {MAX_DOCUMENT_BYTES:,}'
        )
    return data


def decode_text(data: bytes, where: str) -> str:
    """Text of a bounded file; InvalidInputError naming it unless it is UTF-8."""
    try:
        return check_size(data, where).decode('utf-8-sig')
    except UnicodeDecodeError as error:
        raise InvalidInputError(f'{make_printable(where, 200)} is not UTF-8 text') from error


def parse_number(value: object) -> float:
    """A number that a file gave as a number or as text; not-a-number for anything else, which `box` then refuses."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return math.nan
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def format_number(value: float) -> str:
    """The shortest text that reads back as the same number."""
    return str(int(value)) if value == int(value) else repr(float(value))
