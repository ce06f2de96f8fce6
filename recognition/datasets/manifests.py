"""Rows become what a training is told: a frozen manifest of labelled or boxed images on this machine."""

from __future__ import annotations

from collections.abc import Iterator

from recognition import storage
from recognition.datasets import box_annotations
from recognition.models import Annotation, Image, Label, Project
from transfer.data.manifests import BoxedImage, DetectionManifest, LabelledBox, LabelledImage, Manifest

CHUNK = 500  # rows fetched at once


def manifest(project: Project) -> Manifest:
    """The labelled images that are not in the trash, oldest first; classes with at least one of them, by name.

    Remote images are fetched to the local cache.
    """
    images = Image.objects.labelled().filter(project=project)
    names = dict(
        Label.objects.filter(project=project, id__in=images.values('label')).values_list('id', 'name')
    )
    labels = tuple(sorted(names.values()))
    places = {key: labels.index(name) for key, name in names.items()}
    return Manifest(labels, tuple(_images(project, places)))


def _images(project: Project, places: dict[int, int]) -> Iterator[LabelledImage]:
    rows = Image.objects.labelled().filter(project=project, label_id__in=places)
    fields = ('id', 'key', 'label_id', 'digest', 'name')
    for key, stored, label, digest, name in rows.values_list(*fields).iterator(CHUNK):
        yield LabelledImage(str(storage.local_path(stored)), places[label], digest, name, str(key))


def detection_manifest(project: Project) -> DetectionManifest:
    """The images that a person has looked at and that are not in the trash, oldest first; classes with a box, by name.

    An image without boxes shows nothing that is to be found. Remote images are fetched to the local cache.
    """
    labels = tuple(name for name, count in box_annotations.box_counts(project).items() if count)
    places = {name: place for place, name in enumerate(labels)}
    return DetectionManifest(
        labels, tuple(_boxed(row, places) for row in box_annotations.rows_of(project).iterator(CHUNK))
    )


def _boxed(row: Image, places: dict[str, int]) -> BoxedImage:
    boxes = tuple(_labelled_box(box, places[box.label.name]) for box in row.boxes.all())
    path = str(storage.local_path(row.key))
    return BoxedImage(path, row.width, row.height, boxes, row.digest, row.name, str(row.pk))


def _labelled_box(box: Annotation, label: int) -> LabelledBox:
    return LabelledBox(box.x0, box.y0, box.x1, box.y1, label, box.difficult)
