"""The rows of the zoo: source models that a training may start from.

    offered --approve--> usable <--restore/retire--> retired
                            \\--remove--> removed (deleted once no model's report names it)

Who may start from one that was trained on a project's images: the members of that project, and everyone else
only with both consents, an owner's (`shared_at`) and an administrator's (`approved_at`).
"""

from __future__ import annotations

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import models
from django.db.models import Exists, OuterRef, Q

from recognition.models.image import Image
from recognition.models.project import Membership, Project
from recognition.models.trained_model import TrainedModel


class Origin(models.TextChoices):
    STARTER = 'starter', 'Ships with Graft'
    TORCHVISION = 'torchvision', 'Published by torchvision'
    TIMM = 'timm', 'Published by timm'
    IMPORTED = 'imported', 'Imported from a file'
    PROMOTED = 'promoted', 'Trained here'


class SourceStatus(models.TextChoices):
    OFFERED = 'offered', 'Waits for approval'
    USABLE = 'usable', 'In use'
    RETIRED = 'retired', 'Retired'
    REMOVED = 'removed', 'Removed'


# Trained elsewhere, or shared by an owner. Not `project=None`: purging a project leaves its sources without
# one.
OPEN_TO_ALL = ~Q(origin=Origin.PROMOTED) | Q(shared_at__isnull=False)


class SourceModelQuerySet(models.QuerySet['SourceModel']):
    def usable(self) -> SourceModelQuerySet:
        return self.with_status(SourceStatus.USABLE)

    def with_status(self, status: str) -> SourceModelQuerySet:
        kept = self.filter(removed_at=None)
        if status == SourceStatus.REMOVED:
            return self.exclude(removed_at=None)
        if status == SourceStatus.RETIRED:
            return kept.exclude(retired_at=None)
        if status == SourceStatus.OFFERED:
            return kept.filter(retired_at=None, approved_at=None)
        return kept.filter(retired_at=None).exclude(approved_at=None)

    def visible_to(self, user: AbstractBaseUser | AnonymousUser | None) -> SourceModelQuerySet:
        """Without a user: what everyone may see."""
        if user is None or user.pk is None:
            return self.filter(OPEN_TO_ALL)
        own = Membership.objects.filter(user_id=user.pk, project__deleted_at=None)
        return self.filter(OPEN_TO_ALL | Q(project__in=own.values('project')))

    def visible_to_all_members(self, project: Project) -> SourceModelQuerySet:
        """Sources that every member of a project may see: all of them read the reports of its trainings."""
        insiders = Membership.objects.filter(project=OuterRef(OuterRef('project')), project__deleted_at=None)
        outsiders = Membership.objects.filter(project=project).exclude(user__in=insiders.values('user'))
        return self.filter(OPEN_TO_ALL | ~Exists(outsiders))

    def not_trained_on(self, project: Project) -> SourceModelQuerySet:
        """Sources that were trained on none of a project's images: on those their accuracy would be
        overestimated."""
        known = Image.objects.filter(project=OuterRef('project'), digest__in=project.images.values('digest'))
        return self.filter(~Exists(known))


class SourceModel(models.Model):
    """Architecture, weights, the data set they were trained on, and its signature under each reference
    model."""

    name = models.SlugField(max_length=120, unique=True)
    title = models.CharField(max_length=200, blank=True)
    architecture = models.CharField(max_length=120)
    parameters = models.PositiveBigIntegerField(default=0, help_text='Number of parameters; 0: not counted.')
    weights = models.CharField(
        max_length=300, help_text='Absolute path of the safetensors or state_dict file.'
    )
    digest = models.CharField(max_length=64, help_text='SHA-256 of the weights file.')
    size = models.PositiveBigIntegerField(help_text='Bytes of the weights file.')
    side = models.PositiveIntegerField(default=224, help_text='Input side in pixels.')
    mean = models.JSONField(help_text='Of RGB in 0..1, three numbers.')
    std = models.JSONField(help_text='Three numbers.')
    dataset = models.CharField(max_length=200, blank=True)
    domain = models.CharField(
        max_length=80, blank=True, help_text='What its images show, in a word or two: plants, metal parts.'
    )
    images = models.PositiveIntegerField(help_text='How many images it was trained on.')
    class_names = models.JSONField(default=list, blank=True)
    classes = models.PositiveIntegerField()
    origin = models.CharField(max_length=20, choices=Origin.choices)
    licence = models.CharField(max_length=200, blank=True)
    signatures = models.JSONField(
        default=dict,
        blank=True,
        help_text='Digest of a reference model -> mean penultimate feature of the data set.',
    )
    image_archive = models.CharField(
        max_length=200,
        blank=True,
        help_text='Key in storage of the images that its signature is computed from; empty: not uploaded.',
    )
    project = models.ForeignKey(
        Project,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name='sources',
        help_text='The project whose images it was trained on.',
    )
    model = models.ForeignKey(
        TrainedModel,
        models.SET_NULL,
        null=True,
        blank=True,
        related_name='sources',
        help_text='The promoted model.',
    )
    created_at = models.DateTimeField(auto_now_add=True)
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name='+'
    )
    shared_at = models.DateTimeField(
        null=True, blank=True, help_text='When an owner of the project agreed that others may use it.'
    )
    shared_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name='+'
    )
    approved_at = models.DateTimeField(null=True, blank=True)
    approved_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name='+'
    )
    retired_at = models.DateTimeField(null=True, blank=True)
    retired_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name='+'
    )
    removed_at = models.DateTimeField(
        null=True, blank=True, help_text='Such a row is kept because a report of a model names it.'
    )
    removed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name='+'
    )

    objects = SourceModelQuerySet.as_manager()

    class Meta:
        ordering = ['name']

    def __str__(self) -> str:
        return self.name

    @property
    def status(self) -> SourceStatus:
        if self.removed_at is not None:
            return SourceStatus.REMOVED
        if self.retired_at is not None:
            return SourceStatus.RETIRED
        return SourceStatus.OFFERED if self.approved_at is None else SourceStatus.USABLE
