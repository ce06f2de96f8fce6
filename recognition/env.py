"""Read environment variables strictly: an invalid value stops the start, with the variable's name."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

TRUE = {'1', 'true', 'yes', 'on'}
FALSE = {'0', 'false', 'no', 'off', ''}


def text(name: str, default: str = '') -> str:
    return os.environ.get(name, default)


def boolean(name: str, default: bool) -> bool:
    value = os.environ.get(name)
    if value is None:
        return default
    if value.lower() in TRUE:
        return True
    if value.lower() in FALSE:
        return False
    raise ImproperlyConfigured(f'{name} must be true or false, not {value!r}')


def integer(name: str, default: int) -> int:
    value = os.environ.get(name)
    if not value:
        return default
    try:
        return int(value)
    except ValueError as error:
        raise ImproperlyConfigured(f'{name} must be a whole number, not {value!r}') from error


def number(name: str, default: float) -> float:
    value = os.environ.get(name)
    if not value:
        return default
    try:
        return float(value)
    except ValueError as error:
        raise ImproperlyConfigured(f'{name} must be a number, not {value!r}') from error


def path(name: str, default: Path) -> Path:
    value = os.environ.get(name)
    return Path(value).expanduser().resolve() if value else default


def words(name: str, default: str) -> list[str]:
    """Words separated by commas."""
    return [word.strip() for word in os.environ.get(name, default).split(',') if word.strip()]


def rate(name: str, default: str) -> str:
    """`6000/min`: how many in which time (sec, min, hour)."""
    value = os.environ.get(name) or default
    number, _, period = value.partition('/')
    if not number.isdecimal() or int(number) == 0 or period not in ('sec', 'min', 'hour'):
        raise ImproperlyConfigured(f'{name} must look like 6000/min, not {value!r}')
    return value


def secret(name: str, kept_in: Path, *, required: bool) -> str:
    """NAME, or the content of the file that NAME_FILE names, or (unless required) a random secret that is
    stored in a file.
    """
    if value := os.environ.get(name):
        return value
    if named := os.environ.get(f'{name}_FILE'):
        return Path(named).read_text().strip()
    if required:
        raise ImproperlyConfigured(f'{name} (or {name}_FILE) must be set in production')
    if not kept_in.exists():
        kept_in.parent.mkdir(parents=True, exist_ok=True)
        with open(os.open(kept_in, os.O_CREAT | os.O_WRONLY, 0o600), 'w') as file:
            file.write(secrets.token_urlsafe(50))
    return kept_in.read_text().strip()
