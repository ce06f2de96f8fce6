"""Template filters that format numbers, durations and names, and the tag that draws an interval."""

from __future__ import annotations

import re

from django import template
from django.utils.html import format_html_join
from django.utils.safestring import SafeString

register = template.Library()


@register.filter
def percent(share: float | None, digits: int = 1) -> str:
    """0.873 -> 87.3 %; None is a dash."""
    return '–' if share is None else f'{100 * share:.{digits}f}\N{NO-BREAK SPACE}%'


@register.filter
def figure(value: float | None, digits: int = 3) -> str:
    return '–' if value is None else f'{value:.{digits}f}'


@register.filter
def learning_rate(value: float | None) -> str:
    """0.0003 -> 0.0003; 0 -> frozen, as the layer group is not trained."""
    if value is None:
        return '–'
    return 'frozen' if value == 0 else f'{value:.2g}'


@register.filter
def duration(seconds: float | None) -> str:
    """1.2 s, 48 s, 3 min 5 s, 2 h 10 min."""
    if seconds is None:
        return '–'
    if seconds < 10:
        return f'{seconds:.1f} s'
    whole = round(seconds)
    if whole < 60:
        return f'{whole} s'
    if whole < 3_600:
        return f'{whole // 60} min {whole % 60} s'
    return f'{whole // 3_600} h {whole % 3_600 // 60} min'


@register.filter
def breakable_name(name: str) -> SafeString:
    """Allow line breaks after underscores and hyphens by <wbr>, which is not part of the text that is
    copied."""
    return format_html_join('', '{}<wbr>', ((part,) for part in re.split(r'(?<=[_-])', name)))


@register.filter
def last_part(name: str) -> str:
    """daisy/17.jpg -> 17.jpg"""
    return name.rsplit('/', 1)[-1]


@register.filter
def times_hundred(share: float | None) -> float:
    """0.873 -> 87.3, for coordinates of an SVG that is 100 units wide."""
    return round(100 * (share or 0), 2)


@register.inclusion_tag('charts/interval.html')
def interval(
    point: float | None, low: float | None, high: float | None, quantity: str = 'accuracy', level: int = 95
) -> dict[str, object]:
    """Draw a value (0 to 1) and its interval on a scale from 0 to 100 %. `level`: of the interval, in
    percent."""
    return {'point': point, 'low': low, 'high': high, 'quantity': quantity, 'level': level}
