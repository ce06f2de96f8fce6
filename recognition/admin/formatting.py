"""Format the cells of the admin's tables."""

from __future__ import annotations

from datetime import datetime

from django.contrib.auth.base_user import AbstractBaseUser
from django.template.defaultfilters import filesizeformat
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString

from recognition.models import SourceModel
from recognition.models.source_model import Origin, SourceStatus
from recognition.zoo.track_records import Margin

UNFOLDED_NAMES = 20  # class names that are shown without a fold


def format_two_lines(first: str, second: str) -> SafeString:
    return format_html('{}<span class="second">{}</span>', first, second)


def format_source(row: SourceModel) -> SafeString:
    return format_html(
        '{}<span class="second">{}</span><code class="second" title="SHA-256 {}">{}</code>',
        row.name,
        row.title,
        row.digest,
        row.digest[:12],
    )


def format_class_names(row: SourceModel) -> SafeString:
    """All of them, in a fold when they are many."""
    if not row.class_names:
        return format_html('{}; their names are not known', f'{row.classes:,}')
    names = ', '.join(row.class_names)
    if len(row.class_names) <= UNFOLDED_NAMES:
        return format_html('{}: {}', row.classes, names)
    first = ', '.join(row.class_names[:3])
    return format_html('<details><summary>{}: {} …</summary>{}</details>', f'{row.classes:,}', first, names)


def format_size(count: int) -> str:
    return filesizeformat(count).replace('\xa0', ' ')


def format_millions(count: int) -> str:
    """1,530,000 -> 1.5 M."""
    if not count:
        return '?'
    return f'{count / 1e6:.1f} M' if count >= 100_000 else f'{count:,}'


def format_day(moment: datetime) -> str:
    return f'{timezone.localtime(moment):%-d %b %Y}'


def format_event(moment: datetime | None, user: AbstractBaseUser | None, none: str = '') -> str:
    if moment is None:
        return none
    return f'{timezone.localtime(moment):%-d %b %Y, %H:%M}' + (f' by {user.get_username()}' if user else '')


def format_status(row: SourceModel) -> SafeString:
    """The state, and who or what led to it when."""
    if row.status is not SourceStatus.USABLE or row.approved_at is None:
        moment = row.removed_at or row.retired_at or row.created_at
        origin = format_day(moment)
    elif row.approved_by is None:
        origin = 'ships with Graft' if row.origin == Origin.STARTER else format_day(row.approved_at)
    else:
        origin = f'{row.approved_by.get_username()}, {format_day(row.approved_at)}'
    private = ', members only' if row.origin == Origin.PROMOTED and row.shared_at is None else ''
    return format_html(
        '<span class="state {}">{}</span><span class="second">{}</span>',
        row.status,
        row.status.label,
        origin + private,
    )


def format_margin(margin: Margin | None) -> SafeString:
    """In how many trainings its probe was best, and its mean lead in percentage points with the 95 % interval
    over trainings.
    """
    if margin is None:
        return format_html('<span class="second">never compared with another source</span>')
    points = f'{margin.mean * 100:+.1f} points'
    if margin.interval is not None:
        points += f' ({margin.interval[0] * 100:+.1f} to {margin.interval[1] * 100:+.1f})'
    return format_two_lines(f'best in {margin.best} of {margin.n}', points)
