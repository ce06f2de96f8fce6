"""What the lists show: projects with a few of their images, classes with theirs. Reading only."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from django.contrib.auth.base_user import AbstractBaseUser
from django.db.models import Count, F, Q, Window
from django.db.models.functions import RowNumber

from recognition.datasets import box_annotations, labels
from recognition.models import Image, Label, Membership, Project, TrainedModel
from recognition.models.image import ImageQuerySet
from recognition.models.project import Role, Task

COVER = 4
STRIP = 6


@dataclass(frozen=True)
class ProjectCard:
    project: Project
    images: int
    classes: int
    cover: tuple[Image, ...]
    model: TrainedModel | None


@dataclass(frozen=True)
class ClassRow:
    """One class (or, with label None, the images without any) with a strip of its newest images."""

    label: Label | None
    count: int
    strip: tuple[Image, ...]


def project_cards(user: AbstractBaseUser) -> list[ProjectCard]:
    """In four queries, however many projects there are."""
    projects = list(
        Project.objects.visible_to(user).annotate(
            images_present=Count('images', filter=Q(images__deleted_at=None), distinct=True),
            classes_present=Count('labels', distinct=True),
        )
    )
    covers = _newest('project_id', Image.objects.present().filter(project__in=projects), COVER)
    newest = {
        model.project_id: model
        for model in TrainedModel.objects.filter(project__in=projects).order_by('version')
    }
    return [
        ProjectCard(p, p.images_present, p.classes_present, tuple(covers[p.pk]), newest.get(p.pk))
        for p in projects
    ]


def class_rows(project: Project) -> list[ClassRow]:
    """Classes by name; first the unlabelled images, when there are any."""
    if project.task == Task.DETECTION:
        return _box_rows(project)
    present = Image.objects.present().filter(project=project)
    counts = dict(present.order_by().values_list('label_id').annotate(Count('id')))
    strips = _newest('label_id', present, STRIP)
    rows = [
        ClassRow(label, counts.get(label.pk, 0), tuple(strips[label.pk])) for label in project.labels.all()
    ]
    return [ClassRow(None, counts[None], tuple(strips[None])), *rows] if counts.get(None) else rows


def _box_rows(project: Project) -> list[ClassRow]:
    """Classes with how many boxes they have and the newest photos of each; first the photos that nobody has looked at."""
    counts = box_annotations.count_boxes_per_label(project)
    rows = [
        ClassRow(label, counts[label.name], _newest_with(project, label)) for label in project.labels.all()
    ]
    left = Image.objects.present().filter(project=project, boxed_at=None)
    waiting = left.count()
    return (
        [ClassRow(None, waiting, tuple(left.order_by('created_at', 'id')[:STRIP])), *rows]
        if waiting
        else rows
    )


def _newest_with(project: Project, label: Label) -> tuple[Image, ...]:
    return tuple(labels.filter_images(project, label=label.name).order_by('-boxed_at', 'id')[:STRIP])


def role_of(user: AbstractBaseUser, project: Project) -> Role:
    return Role(Membership.objects.values_list('role', flat=True).get(project=project, user_id=user.pk))


def _newest(group: str, images: ImageQuerySet, most: int) -> defaultdict[object, list[Image]]:
    """Up to `most` images of each group, by one query."""
    place = Window(RowNumber(), partition_by=[F(group)], order_by=[F('created_at').desc(), F('id').asc()])
    found: defaultdict[object, list[Image]] = defaultdict(list)
    for image in images.annotate(place=place).filter(place__lte=most).order_by('place'):
        found[getattr(image, group)].append(image)
    return found


def neighbours(image: Image) -> tuple[Image | None, Image | None]:
    """The images before and after this one in its class, newest first, as the grid shows them."""
    others = Image.objects.present().filter(project=image.project, label=image.label)
    newer = Q(created_at__gt=image.created_at) | Q(created_at=image.created_at, id__lt=image.id)
    older = Q(created_at__lt=image.created_at) | Q(created_at=image.created_at, id__gt=image.id)
    before = others.filter(newer).order_by('created_at', '-id').first()
    after = others.filter(older).order_by('-created_at', 'id').first()
    return before, after


@dataclass(frozen=True)
class Wrong:
    """An image that the cross-validation got wrong. `image` is None when it was deleted since."""

    image: Image | None
    name: str
    label: str
    said: str
    score: float | None


def wrong_images(model: TrainedModel, most: int = 60) -> list[Wrong]:
    """The surest errors first: they teach most (a wrong label, or a class that looks like another)."""
    entries = sorted(model.report.get('misclassified', []), key=lambda entry: -(entry.get('score') or 0))[
        :most
    ]
    ids = [entry['id'] for entry in entries if entry.get('id')]
    present = {
        str(image.pk): image for image in Image.objects.present().filter(project=model.project, id__in=ids)
    }
    return [
        Wrong(
            present.get(entry.get('id', '')),
            entry.get('name', ''),
            entry['label'],
            entry['prediction'],
            entry.get('score'),
        )
        for entry in entries
    ]
