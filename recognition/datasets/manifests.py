"""Build the manifest of a training from rows: its labelled or boxed images, as files of this machine."""

from __future__ import annotations

from collections.abc import Iterator

from recognition import storage
from recognition.datasets import box_annotations
from recognition.models import Annotation, Image, Label, Project
from transfer.data.manifests import BoxedImage, DetectionManifest, LabelledBox, LabelledImage, Manifest

CHUNK_SIZE = 500  # rows fetched at once


def build_manifest(project: Project) -> Manifest:
    """The labelled images that are not in the trash, oldest first; classes with at least one of them, by
    name.

    Remote images are fetched to the local cache.
    """
    images = Image.objects.labelled().filter(project=project)
    names = dict(
        Label.objects.filter(project=project, id__in=images.values('label')).values_list('id', 'name')
    )
    labels = tuple(sorted(names.values()))
    places = {key: labels.index(name) for key, name in names.items()}
    return Manifest(labels, tuple(_iterate_images(project, places)))


def _iterate_images(project: Project, places: dict[int, int]) -> Iterator[LabelledImage]:
    rows = Image.objects.labelled().filter(project=project, label_id__in=places)
    fields = ('id', 'key', 'label_id', 'digest', 'name')
    for key, stored, label, digest, name in rows.values_list(*fields).iterator(CHUNK_SIZE):
        yield LabelledImage(str(storage.local_path(stored)), places[label], digest, name, str(key))


def build_detection_manifest(project: Project) -> DetectionManifest:
    """The labelled or empty images that are not in the trash, oldest first; classes with a box, by name.

    An image without boxes is background only. Remote images are fetched to the local cache.
    """
    labels = tuple(name for name, count in box_annotations.count_boxes_per_label(project).items() if count)
    places = {name: place for place, name in enumerate(labels)}
    return DetectionManifest(
        labels,
        tuple(
            _make_boxed_image(row, places)
            for row in box_annotations.list_annotated_images(project).iterator(CHUNK_SIZE)
        ),
    )


def _make_boxed_image(row: Image, places: dict[str, int]) -> BoxedImage:
    boxes = tuple(_make_labelled_box(box, places[box.label.name]) for box in row.boxes.all())
    path = str(storage.local_path(row.key))
    return BoxedImage(path, row.width, row.height, boxes, row.digest, row.name, str(row.pk))


def _make_labelled_box(box: Annotation, label: int) -> LabelledBox:
    return LabelledBox(box.x0, box.y0, box.x1, box.y1, label, box.difficult)
