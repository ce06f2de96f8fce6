"""Images, their labels (the classes of a project) and the boxes on them."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.db import models

from recognition.models.project import Project


class Label(models.Model):
    """A class of the project. Deleting one leaves its images without a label and moves its boxes into the
    trash."""

    project = models.ForeignKey(Project, models.CASCADE, related_name='labels')
    name = models.CharField(max_length=120)
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ['name']
        constraints = [models.UniqueConstraint(fields=['project', 'name'], name='unique_label_name')]

    def __str__(self) -> str:
        return self.name


class DeletedLabel(models.Model):
    """A class in the trash, with what is needed to restore it."""

    project = models.ForeignKey(Project, models.CASCADE, related_name='deleted_labels')
    name = models.CharField(max_length=120)
    images = models.JSONField(default=list, help_text='Ids of the images that had this label.')
    boxes = models.JSONField(default=list, help_text='Image id, x0, y0, x1, y1, difficult, id of the user.')
    boxed_images = models.JSONField(
        default=dict, help_text='Image id -> boxed_at, boxed_by; of images that had no other boxes.'
    )
    deleted_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name='+'
    )
    deleted_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ['-deleted_at', '-id']

    def __str__(self) -> str:
        return self.name


class ImageQuerySet(models.QuerySet['Image']):
    def present(self) -> ImageQuerySet:
        """Images that are not in the trash."""
        return self.filter(deleted_at=None)

    def labelled(self) -> ImageQuerySet:
        return self.present().filter(label__isnull=False)

    def boxed(self) -> ImageQuerySet:
        """Images on which a user has drawn all boxes, or marked that there is none."""
        return self.present().filter(boxed_at__isnull=False)


class Image(models.Model):
    """One upright RGB image. Its bytes lie in storage under `key`, its thumbnail under `thumbnail_key`."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    project = models.ForeignKey(Project, models.CASCADE, related_name='images')
    name = models.CharField(max_length=255, help_text='Name of the uploaded file; never used as a path.')
    digest = models.CharField(max_length=64, help_text='SHA-256 of the uploaded bytes.')
    key = models.CharField(max_length=200)
    thumbnail_key = models.CharField(max_length=200)
    width = models.PositiveIntegerField(help_text='Pixels, upright.')
    height = models.PositiveIntegerField(help_text='Pixels, upright.')
    size = models.PositiveBigIntegerField(help_text='Bytes stored.')
    label = models.ForeignKey(Label, models.SET_NULL, null=True, blank=True, related_name='images')
    boxes_version = models.PositiveIntegerField(
        default=0, help_text='Incremented with each change of its boxes.'
    )
    boxed_at = models.DateTimeField(
        null=True,
        blank=True,
        help_text='When its boxes were complete; without boxes: when it was marked as empty.',
    )
    boxed_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name='+'
    )
    added_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = ImageQuerySet.as_manager()

    class Meta:
        ordering = ['created_at', 'id']
        indexes = [models.Index(fields=['project', 'label', 'created_at', 'id'], name='image_label_order')]
        constraints = [models.UniqueConstraint(fields=['project', 'digest'], name='unique_image_digest')]

    def __str__(self) -> str:
        return self.name


class Annotation(models.Model):
    """A labelled box: end-exclusive pixels of the upright image (width = x1 - x0)."""

    image = models.ForeignKey(Image, models.CASCADE, related_name='boxes')
    label = models.ForeignKey(Label, models.CASCADE, related_name='boxes')
    x0 = models.FloatField()
    y0 = models.FloatField()
    x1 = models.FloatField()
    y1 = models.FloatField()
    difficult = models.BooleanField(
        default=False, help_text='Hard to recognise: neither trained on nor counted as an error.'
    )
    added_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True, related_name='+'
    )
    created_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ['id']
        constraints = [
            models.CheckConstraint(
                condition=models.Q(x1__gt=models.F('x0'), y1__gt=models.F('y0')), name='box_has_area'
            ),
        ]

    def __str__(self) -> str:
        return f'{self.label}: {self.x0:g} {self.y0:g} {self.x1:g} {self.y1:g}'
