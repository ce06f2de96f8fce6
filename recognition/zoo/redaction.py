"""What a report may tell of sources: it is read by every member of its project, also by those who joined after the training.

A training compares only sources that all members may see. Whoever is let in later may not see a source that was learned from
another project's photos and never shared; from then on the project's reports do not name it.
"""

from __future__ import annotations

import re
from typing import Any

from recognition.models import SourceModel, TrainedModel
from recognition.models.source_model import Origin, SourceModelQuerySet

UNNAMED = 'a source of another project'
TELLING = (
    'source',
    'ranking',
    'probes',
    'why',
    'plan',
    'forecast',
    'notes',
)  # parts of a report in which sources are named


def redact_source_name(model: TrainedModel) -> str:
    """The name of the source that a model grew on, as far as every member of its project may know it."""
    return (
        UNNAMED
        if model.source_name and _list_hidden_sources(model).filter(name=model.source_name).exists()
        else model.source_name
    )


def redact_report(model: TrainedModel, report: dict[str, Any]) -> dict[str, Any]:
    """The report without the names and titles of sources that not every member of the model's project may see."""
    hidden = list(_list_hidden_sources(model).values_list('name', 'title'))
    if not hidden:
        return report
    words = _build_patterns(hidden)
    return {part: _redact_value(value, words) if part in TELLING else value for part, value in report.items()}


def _list_hidden_sources(model: TrainedModel) -> SourceModelQuerySet:
    private = SourceModel.objects.filter(origin=Origin.PROMOTED, shared_at=None)
    return private.exclude(pk__in=SourceModel.objects.visible_to_all_members(model.project).values('pk'))


def _build_patterns(hidden: list[tuple[str, str]]) -> list[tuple[re.Pattern[str], str]]:
    """What to look for, and what stands there instead. Several are numbered, so that a table keeps its rows apart."""
    found = []
    for number, (name, title) in enumerate(hidden, 1):
        told = UNNAMED if len(hidden) == 1 else f'{UNNAMED} ({number})'
        forms = [f'{title} ({name})', name, *([title] if title else [])]
        found.append((re.compile('|'.join(rf'(?<![\w-]){re.escape(form)}(?![\w-])' for form in forms)), told))
    return found


def _redact_value(value: Any, words: list[tuple[re.Pattern[str], str]]) -> Any:
    if isinstance(value, str):
        for pattern, told in words:
            value = pattern.sub(told, value)
        return value
    if isinstance(value, dict):
        return {key: _redact_value(inner, words) for key, inner in value.items()}
    return [_redact_value(inner, words) for inner in value] if isinstance(value, list | tuple) else value
