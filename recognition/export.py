"""Rows become what a training is told: a frozen manifest of labelled images on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from recognition import storage
from recognition.models import Image, Label, Project
from transfer.data.manifest import LabelledImage, Manifest

CHUNK = 500  # rows fetched at once


def manifest(project: Project) -> Manifest:
    """The labelled images that are not in the trash, oldest first; classes with at least one of them, by name.

    Remote images are fetched to the local cache.
    """
    images = Image.objects.labelled().filter(project=project)
    names = dict(Label.objects.filter(project=project, id__in=images.values('label')).values_list('id', 'name'))
    labels = tuple(sorted(names.values()))
    places = {key: labels.index(name) for key, name in names.items()}
    return Manifest(labels, tuple(_images(project, places)))


def _images(project: Project, places: dict[int, int]) -> Iterator[LabelledImage]:
    rows = Image.objects.labelled().filter(project=project, label_id__in=places)
    fields = ('id', 'key', 'label_id', 'digest', 'name')
    for key, stored, label, digest, name in rows.values_list(*fields).iterator(CHUNK):
        yield LabelledImage(str(storage.local_path(stored)), places[label], digest, name, str(key))
