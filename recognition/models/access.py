"""API keys (only their hashes) and the audit log."""

from __future__ import annotations

from django.conf import settings
from django.db import models


class ApiKey(models.Model):
    """A user's API key. It is shown once; the row keeps its first characters and its SHA-256."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name='api_keys')
    name = models.CharField(max_length=80)
    prefix = models.CharField(max_length=12)
    # The key has 256 random bits, so a fast hash cannot be inverted by search; it is checked on every
    # request.
    hash = models.CharField(max_length=64, unique=True)
    scope = models.CharField(max_length=10, choices=[('predict', 'Predict only'), ('manage', 'Everything')])
    created_at = models.DateTimeField(auto_now_add=True)
    last_used_at = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ['-created_at']
        verbose_name = 'API key'

    def __str__(self) -> str:
        return f'{self.prefix}… ({self.name})'


class AuditEvent(models.Model):
    """Who did what to what; never image bytes or secrets."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, blank=True)
    action = models.CharField(max_length=40)
    subject = models.CharField(max_length=200)
    at = models.DateTimeField(auto_now_add=True)

    class Meta:
        ordering = ['-id']

    def __str__(self) -> str:
        return f'{self.action} {self.subject}'
