"""System checks: a misconfiguration is reported at the start, with an id."""

from __future__ import annotations

import os
from collections.abc import Sequence

from django.apps import AppConfig
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning, register

from transfer.spec.train_spec import DIVERGENCES


@register()
def data_folder_can_be_written(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:
    if os.access(settings.DATA_DIR, os.W_OK):
        return []
    return [
        Error(
            f'The data folder {settings.DATA_DIR} cannot be written.', hint='Set GRAFT_DATA.', id='graft.E001'
        )
    ]


@register()
def divergence_is_known(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:
    if settings.P2L_DIVERGENCE in DIVERGENCES:
        return []
    return [
        Error(
            f'P2L_DIVERGENCE must be one of {", ".join(DIVERGENCES)}, not {settings.P2L_DIVERGENCE!r}.',
            id='graft.E003',
        )
    ]


@register(deploy=True)
def production_uses_a_server_database(
    app_configs: Sequence[AppConfig] | None, **_: object
) -> list[CheckMessage]:
    if settings.PRODUCTION and settings.DATABASES['default']['ENGINE'].endswith('sqlite3'):
        return [
            Warning('Production runs on SQLite: one machine only.', hint='Set DATABASE_URL.', id='graft.W001')
        ]
    return []


@register(deploy=True)
def production_names_its_hosts(app_configs: Sequence[AppConfig] | None, **_: object) -> list[CheckMessage]:
    if settings.PRODUCTION and (not settings.ALLOWED_HOSTS or '*' in settings.ALLOWED_HOSTS):
        return [Error('ALLOWED_HOSTS must name the hosts in production.', id='graft.E002')]
    return []
