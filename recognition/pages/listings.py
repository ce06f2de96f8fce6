"""Queries of the list pages: projects with a few of their images, classes with theirs. Nothing is written."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Count, F, Q, Window
from django.db.models.functions import RowNumber

from recognition.datasets import box_annotations, labels
from recognition.models import Image, Label, Membership, Project, TrainedModel
from recognition.models.image import ImageQuerySet
from recognition.models.project import Role, Task

# Images shown on a project's card, and in the row of a class.
COVER_IMAGES = 4
ROW_IMAGES = 6


@dataclass(frozen=True)
class ProjectSummary:
    project: Project
    images: int
    classes: int
    images_shown: tuple[Image, ...]
    model: TrainedModel | None


@dataclass(frozen=True)
class ClassRow:
    """One class (or, with label None, the unlabelled images) with its newest images.

    `count`: images or boxes.
    """

    label: Label | None
    count: int
    images_shown: tuple[Image, ...]


def list_project_summaries(user: AbstractBaseUser) -> list[ProjectSummary]:
    """Four queries, whatever the number of projects."""
    projects = list(
        Project.objects.visible_to(user).annotate(
            images_present=Count('images', filter=Q(images__deleted_at=None), distinct=True),
            classes_present=Count('labels', distinct=True),
        )
    )
    covers = _find_newest('project_id', Image.objects.present().filter(project__in=projects), COVER_IMAGES)
    newest = {
        model.project_id: model
        for model in TrainedModel.objects.filter(project__in=projects).order_by('version')
    }
    return [
        ProjectSummary(p, p.images_present, p.classes_present, tuple(covers[p.pk]), newest.get(p.pk))
        for p in projects
    ]


def list_class_rows(project: Project) -> list[ClassRow]:
    """Classes by name; the unlabelled images, if any, come first."""
    if project.task == Task.DETECTION:
        return _list_box_rows(project)
    present = Image.objects.present().filter(project=project)
    counts = dict(present.order_by().values_list('label_id').annotate(Count('id')))
    strips = _find_newest('label_id', present, ROW_IMAGES)
    rows = [
        ClassRow(label, counts.get(label.pk, 0), tuple(strips[label.pk])) for label in project.labels.all()
    ]
    return [ClassRow(None, counts[None], tuple(strips[None])), *rows] if counts.get(None) else rows


def _list_box_rows(project: Project) -> list[ClassRow]:
    """Classes with their number of boxes; the unlabelled images, if any, come first."""
    counts = box_annotations.count_boxes_per_label(project)
    rows = [
        ClassRow(label, counts[label.name], _find_newest_with(project, label))
        for label in project.labels.all()
    ]
    unlabelled = Image.objects.present().filter(project=project, boxed_at=None)
    count = unlabelled.count()
    if not count:
        return rows
    first = unlabelled.order_by('created_at', 'id')[:ROW_IMAGES]
    return [ClassRow(None, count, tuple(first)), *rows]


def _find_newest_with(project: Project, label: Label) -> tuple[Image, ...]:
    return tuple(labels.filter_images(project, label=label.name).order_by('-boxed_at', 'id')[:ROW_IMAGES])


def get_role(user: AbstractBaseUser, project: Project) -> Role:
    return Role(Membership.objects.values_list('role', flat=True).get(project=project, user_id=user.pk))


def _find_newest(group: str, images: ImageQuerySet, limit: int) -> defaultdict[object, list[Image]]:
    """Up to `limit` images for each value of the field `group`, by one query."""
    rank = Window(RowNumber(), partition_by=[F(group)], order_by=[F('created_at').desc(), F('id').asc()])
    newest: defaultdict[object, list[Image]] = defaultdict(list)
    for image in images.annotate(rank=rank).filter(rank__lte=limit).order_by('rank'):
        newest[getattr(image, group)].append(image)
    return newest


def find_neighbours(image: Image) -> tuple[Image | None, Image | None]:
    """The next newer and the next older image of the same class, in the order of the class page."""
    others = Image.objects.present().filter(project=image.project, label=image.label)
    newer = Q(created_at__gt=image.created_at) | Q(created_at=image.created_at, id__lt=image.id)
    older = Q(created_at__lt=image.created_at) | Q(created_at=image.created_at, id__gt=image.id)
    next_newer = others.filter(newer).order_by('created_at', '-id').first()
    next_older = others.filter(older).order_by('-created_at', 'id').first()
    return next_newer, next_older


@dataclass(frozen=True)
class MisclassifiedRow:
    """An image that cross-validation misclassified. `image` is None when it was deleted since."""

    image: Image | None
    name: str
    label: str
    prediction: str
    score: float | None


def list_misclassified(model: TrainedModel, limit: int = 60) -> list[MisclassifiedRow]:
    """The errors with the highest score first: they point to wrong labels and to classes that look alike."""
    entries = sorted(model.report.get('misclassified', []), key=lambda entry: -(entry.get('score') or 0))[
        :limit
    ]
    ids = [entry['id'] for entry in entries if entry.get('id')]
    present = {
        str(image.pk): image for image in Image.objects.present().filter(project=model.project, id__in=ids)
    }
    return [
        MisclassifiedRow(
            present.get(entry.get('id', '')),
            entry.get('name', ''),
            entry['label'],
            entry['prediction'],
            entry.get('score'),
        )
        for entry in entries
    ]


@dataclass(frozen=True)
class DuplicateRow:
    """One of two near-duplicates. `image` is None when it was deleted since."""

    image: Image | None
    name: str
    label: str


@dataclass(frozen=True)
class DuplicatePairRow:
    """Two near-duplicates, as a training found them."""

    photos: tuple[DuplicateRow, DuplicateRow]
    similarity: float

    @property
    def is_contradictory(self) -> bool:
        return self.photos[0].label != self.photos[1].label

    @property
    def is_whole(self) -> bool:
        """Whether both photos are still there, so that one of them can be deleted."""
        return all(photo.image for photo in self.photos)


def list_near_duplicates(model: TrainedModel, limit: int = 60) -> list[DuplicatePairRow]:
    """The pairs of the report, those of two classes first; not those of which both photos were deleted."""
    pairs = model.report.get('near_duplicates', {}).get('pairs', [])[:limit]
    ids = [pair[side]['id'] for pair in pairs for side in ('first', 'second') if pair[side]['id']]
    rows = Image.objects.present().filter(project=model.project, id__in=ids)
    present = {str(image.pk): image for image in rows}

    def describe(entry: Mapping[str, str]) -> DuplicateRow:
        return DuplicateRow(present.get(entry['id']), entry['name'], entry['label'])

    found = [
        DuplicatePairRow((describe(pair['first']), describe(pair['second'])), pair['similarity'])
        for pair in pairs
    ]
    return [pair for pair in found if any(photo.image for photo in pair.photos)]
