"""Tables of a model's report: records of several parts joined into rows, with names for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class SourceRow:
    """One row of the table of source models. What was not measured is None."""

    name: str
    divergence: float | None  # nats
    images: int | None  # that it was trained on
    score: float | None
    stability: float | None  # 0 to 1
    accuracy: float | None  # of the linear probe, 0 to 1
    low: float | None  # of the 95 % interval
    high: float | None
    seconds: float | None  # that the probe took
    is_chosen: bool


def list_candidates(report: Mapping[str, Any]) -> tuple[SourceRow, ...]:
    """The ranking joined with the probes. A source that the user named gets a row without a ranking."""
    probes = {probe['name']: probe for probe in report['probes']}
    ranked = {row['name']: row for row in report['ranking']}
    names = [*ranked, *(name for name in probes if name not in ranked)]
    rows = []
    for name in names:
        row, probe = ranked.get(name, {}), probes.get(name, {})
        low, high = probe.get('interval') or (None, None)
        rows.append(
            SourceRow(
                name=name,
                divergence=row.get('divergence'),
                images=row.get('images', row.get('size')),
                score=row.get('score'),
                stability=row.get('stability'),
                accuracy=probe.get('accuracy'),
                low=low,
                high=high,
                seconds=probe.get('seconds'),
                is_chosen=report['source'] == name,
            )
        )
    return tuple(rows)


# Keys of the report's record of the serving engine, and what they are called on the page.
ENGINE_FACTS = {
    'name': 'Runs as',
    'engine': 'Runs as',
    'milliseconds': 'Milliseconds per photo',
    'format': 'Format',
    'agreement': 'Same prediction as PyTorch',
    'largest_difference': 'Largest difference from PyTorch',
    'difference': 'Largest difference from PyTorch',
    'images': 'Checked on photos',
    'precision': 'Precision',
    'seconds': 'Export in seconds',
    'why_not': 'Why it is not exported',
    'why': 'Why it is not exported',
    'reason': 'Why it is not exported',
}


def list_engine_facts(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Names and values of the record's numbers and texts; nested parts are shown by the REST API only."""
    facts = []
    for key, value in record.items():
        if value is None or value == '' or isinstance(value, dict | list):
            continue
        name = ENGINE_FACTS.get(key, key.replace('_', ' ').capitalize())
        facts.append((name, _format_value(key, value)))
    return facts


def _format_value(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if key == 'agreement':
        return f'{100 * value:.1f} %'
    return f'{value:.2g}' if isinstance(value, float) else str(value)
