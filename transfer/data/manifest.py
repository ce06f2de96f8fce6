"""What a training is told about its images: plain frozen records, no torch, no Django."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass


@dataclass(frozen=True)
class LabelledImage:
    """One upright RGB image on disk."""

    path: str
    label: int  # index into Manifest.labels
    digest: str  # of its content: the cache key, and what keeps copies of an image in one fold
    name: str  # what a person calls it
    id: str = ''  # of the row it came from, so that a report can point back


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
