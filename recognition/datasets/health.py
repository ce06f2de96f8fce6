"""Dataset health: counts, and problems that would harm a training, as sentences."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.db.models import Count, F, Q

from recognition.datasets import box_annotations
from recognition.models import Annotation, Image, Label, Project
from recognition.models.project import Task

MIN_CLASSES = 2
MIN_IMAGES_PER_CLASS = 4  # of each class: with fewer, folds of a cross-validation mean nothing
MIN_BOXES = 5  # of one class, and as many images with boxes: with fewer, no split leaves any for the test
# Below ten images a class, one wrong photo moves its accuracy by ten points and more; hosted services ask for
# 10 to 15.
FEW_IMAGES = 10
IMBALANCE = 10.0  # largest class : smallest, beyond which the small one is mostly missed
FEW_BOXES = 15  # of each class, as hosted services require before they train a detector
# Of the image's side: 8 pixels where a detector works at 320, less than one cell of its feature map.
SMALL_BOX = 1 / 40
TINY_SIDE = 64  # pixels of the short side: less than the smallest input of the zoo's networks


@dataclass(frozen=True)
class LabelHealth:
    label: str
    images: int  # in a detection project: images with a box of it
    boxes: int = 0


@dataclass(frozen=True)
class DatasetProblem:
    """A data problem."""

    code: str  # small_boxes, no_boxes, few, empty, imbalance, unlabelled, alike, tiny, one_class, no_images
    message: str
    label: str = ''
    severe: bool = False  # prevents a training, or makes its model useless


@dataclass(frozen=True)
class DatasetHealth:
    """`classes` by name, empty ones included; `images` and `unlabelled` count what is not in the trash."""

    images: int
    unlabelled: int  # in a detection project: without boxes and not marked as empty
    classes: tuple[LabelHealth, ...]
    warnings: tuple[DatasetProblem, ...]  # severe ones first

    @property
    def labelled(self) -> int:
        return self.images - self.unlabelled


def check_health(project: Project) -> DatasetHealth:
    """Two queries (of boxes: four), whatever the size."""
    return _check_boxes(project) if project.task == Task.DETECTION else _check_images(project)


def _check_boxes(project: Project) -> DatasetHealth:
    progress = box_annotations.get_labelling_progress(project)
    there = Q(boxes__image__deleted_at=None)
    rows = Label.objects.filter(project=project).annotate(
        with_it=Count('boxes__image', filter=there, distinct=True), drawn=Count('boxes', filter=there)
    )
    classes = tuple(LabelHealth(row.name, row.with_it, row.drawn) for row in rows.order_by('name'))
    problems = [
        *_find_box_set_problems(progress, classes),
        *(problem for label in classes for problem in _find_problems_of_boxed_label(label)),
        *_find_small_boxes(project),
        *_find_similar_names(classes),
    ]
    problems.sort(key=lambda problem: not problem.severe)
    return DatasetHealth(progress.images, progress.left, classes, tuple(problems))


def _find_box_set_problems(
    progress: box_annotations.LabellingProgress, classes: tuple[LabelHealth, ...]
) -> Iterator[DatasetProblem]:
    filled = [label for label in classes if label.boxes]
    if not progress.images:
        yield DatasetProblem('no_images', 'There are no images yet.', severe=True)
    elif not filled:
        yield DatasetProblem(
            'no_boxes',
            'No box is drawn yet: a detector is trained on boxes around the objects to detect.',
            severe=True,
        )
    elif progress.left:
        yield DatasetProblem(
            'unlabelled', f'{_format_count(progress.left)} without boxes so far: training leaves them out.'
        )
    if len(filled) > 1:
        largest, smallest = max(filled, key=_boxes), min(filled, key=_boxes)
        if largest.boxes >= IMBALANCE * smallest.boxes:
            yield DatasetProblem(
                'imbalance',
                f'“{largest.label}” has {largest.boxes} boxes and “{smallest.label}” has {smallest.boxes}: '
                'the small class will often be missed.',
                smallest.label,
            )


def _find_problems_of_boxed_label(health: LabelHealth) -> Iterator[DatasetProblem]:
    if not health.boxes:
        yield DatasetProblem('empty', f'“{health.label}” has no boxes: training leaves it out.', health.label)
    elif health.boxes < MIN_BOXES:
        boxes = '1 box' if health.boxes == 1 else f'{health.boxes} boxes'
        yield DatasetProblem(
            'few',
            f'“{health.label}” has only {boxes}: too few to train on; draw {FEW_BOXES}.',
            health.label,
        )
    elif health.boxes < FEW_BOXES:
        message = f'“{health.label}” has {health.boxes} boxes: draw at least {FEW_BOXES}, 50 are better.'
        yield DatasetProblem('few', message, health.label)


def _find_small_boxes(project: Project) -> Iterator[DatasetProblem]:
    boxes = Annotation.objects.filter(image__project=project, image__deleted_at=None, difficult=False)
    small = boxes.filter(
        Q(x1__lt=F('x0') + SMALL_BOX * F('image__width')) | Q(y1__lt=F('y0') + SMALL_BOX * F('image__height'))
    ).count()
    if small:
        boxes_are = '1 box is' if small == 1 else f'{small} boxes are'
        yield DatasetProblem(
            'small_boxes',
            f'{boxes_are} narrower than a fortieth of the photo: objects so small are seldom detected.',
        )


def _check_images(project: Project) -> DatasetHealth:
    present = Image.objects.present().filter(project=project)
    counts = present.aggregate(
        images=Count('id'),
        unlabelled=Count('id', filter=Q(label=None)),
        tiny=Count('id', filter=Q(width__lt=TINY_SIDE) | Q(height__lt=TINY_SIDE)),
    )
    labels = Label.objects.filter(project=project).annotate(
        present=Count('images', filter=Q(images__deleted_at=None))
    )
    classes = tuple(LabelHealth(label.name, label.present) for label in labels.order_by('name'))
    problems = [
        *_find_image_set_problems(counts, classes),
        *(problem for label in classes for problem in _find_problems_of_label(label)),
        *_find_similar_names(classes),
    ]
    problems.sort(key=lambda problem: not problem.severe)
    return DatasetHealth(counts['images'], counts['unlabelled'], classes, tuple(problems))


def _find_image_set_problems(
    counts: dict[str, int], classes: tuple[LabelHealth, ...]
) -> Iterator[DatasetProblem]:
    filled = [label for label in classes if label.images]
    if not counts['images']:
        yield DatasetProblem('no_images', 'There are no images yet.', severe=True)
    elif len(filled) < MIN_CLASSES:
        yield DatasetProblem(
            'one_class', f'A classifier needs images of at least {MIN_CLASSES} classes.', severe=True
        )
    else:
        largest, smallest = max(filled, key=_images), min(filled, key=_images)
        if largest.images >= IMBALANCE * smallest.images:
            yield DatasetProblem(
                'imbalance',
                f'“{largest.label}” has {largest.images} images and “{smallest.label}” has '
                f'{smallest.images}: '
                'the small class will often be missed.',
                smallest.label,
            )
    if counts['unlabelled']:
        yield DatasetProblem(
            'unlabelled', f'{_format_count(counts["unlabelled"])} without a class: training leaves them out.'
        )
    if counts['tiny']:
        yield DatasetProblem(
            'tiny',
            f'{_format_count(counts["tiny"])} with a side below {TINY_SIDE} pixels: they show little detail.',
        )


def _find_problems_of_label(health: LabelHealth) -> Iterator[DatasetProblem]:
    if not health.images:
        yield DatasetProblem(
            'empty', f'“{health.label}” has no images: training leaves it out.', health.label
        )
    elif health.images < MIN_IMAGES_PER_CLASS:
        count = _format_count(health.images)
        message = (
            f'“{health.label}” has {count}: a training needs at least {MIN_IMAGES_PER_CLASS} of each class.'
        )
        yield DatasetProblem('few', message, health.label, severe=True)
    elif health.images < FEW_IMAGES:
        message = (
            f'“{health.label}” has only {health.images} images, too few to measure how well it is '
            f'recognised: bring it to at least {FEW_IMAGES}.'
        )
        yield DatasetProblem('few', message, health.label)


def _find_similar_names(classes: tuple[LabelHealth, ...]) -> Iterator[DatasetProblem]:
    """Names that differ by case, spaces or punctuation alone are most often one class written in two ways."""
    seen: dict[str, str] = {}
    for health in classes:
        key = ''.join(letter for letter in health.label.casefold() if letter.isalnum())
        if key and key in seen:
            yield DatasetProblem(
                'alike',
                f'Are “{seen[key]}” and “{health.label}” the same class? Renaming one merges them.',
                health.label,
            )
        seen.setdefault(key, health.label)


def _images(health: LabelHealth) -> int:
    return health.images


def _boxes(health: LabelHealth) -> int:
    return health.boxes


def _format_count(count: int) -> str:
    return '1 image' if count == 1 else f'{count} images'
