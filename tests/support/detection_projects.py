"""Factories of projects that find things."""

from __future__ import annotations

from collections.abc import Sequence

from recognition.datasets import box_annotations, projects
from recognition.datasets.box_annotations import Box
from recognition.datasets.upload_results import IncomingFile
from recognition.datasets.uploads import add_images
from recognition.models import Image, Project
from tests.support.photos import draw_photo


def detection_project(user, images: int = 0, name: str = 'Cells', side: int = 48) -> Project:
    project = projects.create_project(user, name, 'detection')
    add_photos(project, user, images, side)
    return project


def add_photos(project, user, images: int, side: int = 48) -> None:
    files = [
        IncomingFile(f'{n}.jpg', lambda n=n: draw_photo(n, side=side), 1000, None) for n in range(images)
    ]
    add_images(project, user, files)


def photo(project, number: int = 0) -> Image:
    return Image.objects.get(project=project, name=f'{number}.jpg')


def draw(
    project, number: int, *boxes: tuple[str, float, float, float, float], user=None
) -> box_annotations.BoxSet:
    """Boxes (label, x0, y0, x1, y1) on photo `number`; none: nothing is there."""
    image = photo(project, number)
    drawn: Sequence[Box] = [Box(*box) for box in boxes]
    return box_annotations.set_boxes(
        project, image.pk, drawn, version=image.boxes_version, empty=not boxes, user=user
    )


def boxed_project(user, images: int = 6) -> Project:
    """A project whose photos have a red and a white cell each."""
    project = detection_project(user, images)
    for number in range(images):
        draw(project, number, ('red', 4, 4, 20 + number, 20), ('white', 24.5, 10, 44, 40.25), user=user)
    return project
