"""Redact reports: hide the names of source models that not every member of a project may see.

Every member of a project reads its reports, also those who joined after the training. A training compares
only sources that all members may see. A member who joins later may not see a source that was trained on
another project's photos and never shared: from then on the project's reports do not name it.
"""

from __future__ import annotations

import re
from typing import Any

from recognition.models import SourceModel, TrainedModel
from recognition.models.source_model import Origin, SourceModelQuerySet

REDACTED_NAME = 'a source of another project'
# The parts of a report that name sources.
REDACTED_PARTS = ('source', 'members', 'ranking', 'probes', 'why', 'plan', 'forecast', 'notes')


def redact_source_name(model: TrainedModel) -> str:
    """The name of the source that a model is based on, as far as every member of its project may know it."""
    if model.source_name and _list_hidden_sources(model).filter(name=model.source_name).exists():
        return REDACTED_NAME
    return model.source_name


def redact_report(model: TrainedModel, report: dict[str, object]) -> dict[str, Any]:
    """The report without the names and titles of sources that not every member of the model's project may
    see.
    """
    hidden = list(_list_hidden_sources(model).values_list('name', 'title'))
    if not hidden:
        return report
    patterns = _build_patterns(hidden)
    return {
        part: _redact_value(value, patterns) if part in REDACTED_PARTS else value
        for part, value in report.items()
    }


def _list_hidden_sources(model: TrainedModel) -> SourceModelQuerySet:
    private = SourceModel.objects.filter(origin=Origin.PROMOTED, shared_at=None)
    return private.exclude(pk__in=SourceModel.objects.visible_to_all_members(model.project).values('pk'))


def _build_patterns(hidden: list[tuple[str, str]]) -> list[tuple[re.Pattern[str], str]]:
    """(pattern, replacement) for each (name, title). Several sources are numbered, so that a table keeps its
    rows apart.
    """
    patterns = []
    for number, (name, title) in enumerate(hidden, 1):
        replacement = REDACTED_NAME if len(hidden) == 1 else f'{REDACTED_NAME} ({number})'
        forms = [f'{title} ({name})', name, *([title] if title else [])]
        # The longest form first; never within a longer word.
        pattern = re.compile('|'.join(rf'(?<![\w-]){re.escape(form)}(?![\w-])' for form in forms))
        patterns.append((pattern, replacement))
    return patterns


def _redact_value(value: Any, patterns: list[tuple[re.Pattern[str], str]]) -> Any:
    if isinstance(value, str):
        for pattern, replacement in patterns:
            value = pattern.sub(replacement, value)
        return value
    if isinstance(value, dict):
        return {key: _redact_value(inner, patterns) for key, inner in value.items()}
    return [_redact_value(inner, patterns) for inner in value] if isinstance(value, list | tuple) else value
