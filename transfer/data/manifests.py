"""The images of a training: plain frozen records, no torch, no Django."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class LabelledImage:
    """One upright RGB image on disk."""

    path: str
    label: int  # index into Manifest.labels
    digest: str  # of its content: the cache key
    name: str  # what a person calls it
    id: str = ''  # of the row it came from, so that a report can point back
    photo: str = ''  # digest of the photo that it was cut out of


@dataclass(frozen=True)
class Manifest:
    """A labelled image set, frozen at the moment a training starts."""

    labels: tuple[str, ...]
    images: tuple[LabelledImage, ...]

    @property
    def digest(self) -> str:
        """Changes with any image, label or class name; not with paths or the order of the rows."""
        lines = sorted(f'{image.digest} {self.labels[image.label]}' for image in self.images)
        return hashlib.sha256('\n'.join([*self.labels, '', *lines]).encode()).hexdigest()


BACKGROUND = '(background)'  # the class of what nobody boxed, where sources are compared on crops


@dataclass(frozen=True)
class LabelledBox:
    """One object: end-exclusive pixels of the upright image, x0 < x1 and y0 < y1, inside the image."""

    x0: float
    y0: float
    x1: float
    y1: float
    label: int  # index into DetectionManifest.labels
    difficult: bool = False  # not counted when scored (Pascal VOC), and not trained on


@dataclass(frozen=True)
class BoxedImage:
    """One upright RGB image on disk with everything that is on it; no boxes: a person said that there is
    nothing."""

    path: str
    width: int
    height: int
    boxes: tuple[LabelledBox, ...]
    digest: str  # of its content: the cache key
    name: str  # what a person calls it
    id: str = ''  # of the row it came from


@dataclass(frozen=True)
class DetectionManifest:
    """A set of images with boxes, frozen at the moment a training starts."""

    labels: tuple[str, ...]
    images: tuple[BoxedImage, ...]

    @property
    def digest(self) -> str:
        """Changes with any image, box or class name; not with paths or the order of the rows."""
        lines = sorted(
            ' '.join(
                [image.digest, *sorted(f'{self.labels[box.label]} {_corners(box)}' for box in image.boxes)]
            )
            for image in self.images
        )
        return hashlib.sha256('\n'.join([*self.labels, '', *lines]).encode()).hexdigest()


def _corners(box: LabelledBox) -> str:
    return f'{box.x0:.3f} {box.y0:.3f} {box.x1:.3f} {box.y1:.3f} {int(box.difficult)}'
