"""A project holds one labelled image set, its trainings and its models; users have access by a membership."""

from __future__ import annotations

import uuid

from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.contrib.auth.models import AnonymousUser
from django.db import models


class Role(models.TextChoices):
    OWNER = 'owner', 'Owner'  # everything, deleting the project and managing members included
    EDITOR = 'editor', 'Editor'  # adds, labels, trains, publishes
    VIEWER = 'viewer', 'Viewer'  # reads and predicts


class Task(models.TextChoices):
    CLASSIFICATION = 'classification', 'Tell what a photo shows'
    DETECTION = 'detection', 'Find things in photos'


class ProjectQuerySet(models.QuerySet['Project']):
    def visible_to(self, user: AbstractBaseUser | AnonymousUser) -> ProjectQuerySet:
        return self.filter(memberships__user_id=user.pk, deleted_at=None)

    def editable_by(self, user: AbstractBaseUser | AnonymousUser) -> ProjectQuerySet:
        return self.filter(
            memberships__user_id=user.pk, memberships__role__in=(Role.OWNER, Role.EDITOR), deleted_at=None
        )

    def owned_by(self, user: AbstractBaseUser | AnonymousUser) -> ProjectQuerySet:
        return self.filter(memberships__user_id=user.pk, memberships__role=Role.OWNER, deleted_at=None)

    def deleted_by_owner(self, user: AbstractBaseUser | AnonymousUser) -> ProjectQuerySet:
        """Deleted projects that the user owns: an owner may restore them until they are purged."""
        return self.filter(
            memberships__user_id=user.pk, memberships__role=Role.OWNER, deleted_at__isnull=False
        )


class Project(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    name = models.CharField(max_length=120)
    task = models.CharField(max_length=20, choices=Task.choices, default=Task.CLASSIFICATION)
    created_at = models.DateTimeField(auto_now_add=True)
    deleted_at = models.DateTimeField(null=True, blank=True)

    objects = ProjectQuerySet.as_manager()

    class Meta:
        ordering = ['-created_at']

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    project = models.ForeignKey(Project, models.CASCADE, related_name='memberships')
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name='memberships')
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.EDITOR)

    class Meta:
        constraints = [models.UniqueConstraint(fields=['project', 'user'], name='unique_membership')]

    def __str__(self) -> str:
        return f'{self.user} is {self.role} of {self.project}'
