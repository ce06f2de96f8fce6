"""What stands in the cells of the admin's tables."""

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

FEW = 20  # class names that are shown at once


def two_lines(first: str, second: str) -> SafeString:
    return format_html('{}<span class="second">{}</span>', first, second)


def source(row: SourceModel) -> SafeString:
    return format_html(
        '{}<span class="second">{}</span><code class="second" title="SHA-256 {}">{}</code>',
        row.name,
        row.title,
        row.digest,
        row.digest[:12],
    )


def class_names(row: SourceModel) -> SafeString:
    """All of them, folded when they are many."""
    if not row.class_names:
        return format_html('{}, their names are not known', f'{row.classes:,}')
    names = ', '.join(row.class_names)
    if len(row.class_names) <= FEW:
        return format_html('{}: {}', row.classes, names)
    first = ', '.join(row.class_names[:3])
    return format_html('<details><summary>{}: {} …</summary>{}</details>', f'{row.classes:,}', first, names)


def size(count: int) -> str:
    return filesizeformat(count).replace('\xa0', ' ')


def millions(count: int) -> str:
    """1,530,000 -> 1.5 M."""
    if not count:
        return '?'
    return f'{count / 1e6:.1f} M' if count >= 100_000 else f'{count:,}'


def day(moment: datetime) -> str:
    return f'{timezone.localtime(moment):%-d %b %Y}'


def action(moment: datetime | None, who: AbstractBaseUser | None, none: str = '') -> str:
    if moment is None:
        return none
    return f'{timezone.localtime(moment):%-d %b %Y, %H:%M}' + (f' by {who.get_username()}' if who else '')


def standing(row: SourceModel) -> SafeString:
    """The state and the action that led to it."""
    if row.status is not SourceStatus.USABLE or row.approved_at is None:
        moment = row.removed_at or row.retired_at or row.created_at
        told = day(moment)
    elif row.approved_by is None:
        told = 'ships with Graft' if row.origin == Origin.STARTER else day(row.approved_at)
    else:
        told = f'{row.approved_by.get_username()}, {day(row.approved_at)}'
    private = ', members only' if row.origin == Origin.PROMOTED and row.shared_at is None else ''
    return format_html(
        '<span class="state {}">{}</span><span class="second">{}</span>',
        row.status,
        row.status.label,
        told + private,
    )


def margin(found: Margin | None) -> SafeString:
    """How often its probe was the best, and by how many points of accuracy, with the 95 % interval over trainings."""
    if found is None:
        return format_html('<span class="second">never probed beside another</span>')
    points = f'{found.mean * 100:+.1f} points'
    if found.interval is not None:
        points += f' ({found.interval[0] * 100:+.1f} to {found.interval[1] * 100:+.1f})'
    return two_lines(f'best in {found.best} of {found.n}', points)
