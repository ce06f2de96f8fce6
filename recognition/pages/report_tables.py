"""The report's tables: what a model's record says, joined and named for people."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Candidate:
    """One source of the P2L table. What was not measured is None."""

    name: str
    divergence: float | None  # nats
    size: int | None  # images it was trained on
    score: float | None
    stability: float | None  # 0 to 1
    accuracy: float | None  # of the probe, 0 to 1
    low: float | None  # 95 %
    high: float | None
    seconds: float | None  # that the probe took
    chosen: bool


def candidates(report: Mapping[str, Any]) -> tuple[Candidate, ...]:
    """The ranking with what the probes found; a source that the person named without a ranking stands alone."""
    probes = {probe['name']: probe for probe in report['probes']}
    ranked = {row['name']: row for row in report['ranking']}
    names = [*ranked, *(name for name in probes if name not in ranked)]
    return tuple(
        _candidate(name, ranked.get(name, {}), probes.get(name, {}), report['source'] == name)
        for name in names
    )


def _candidate(name: str, ranked: Mapping[str, Any], probe: Mapping[str, Any], chosen: bool) -> Candidate:
    low, high = probe.get('interval') or (None, None)
    return Candidate(
        name,
        ranked.get('divergence'),
        ranked.get('images', ranked.get('size')),
        ranked.get('score'),
        ranked.get('stability'),
        probe.get('accuracy'),
        low,
        high,
        probe.get('seconds'),
        chosen,
    )


SEALING = {
    'name': 'Runs as',
    'engine': 'Runs as',
    'milliseconds': 'Milliseconds a photo',
    'format': 'Format',
    'agreement': 'Same answer as torch',
    'largest_difference': 'Largest difference to torch',
    'difference': 'Largest difference to torch',
    'images': 'Checked on photos',
    'precision': 'Precision',
    'seconds': 'Sealed in seconds',
    'why_not': 'Why not as a graph',
    'why': 'Why not as a graph',
    'reason': 'Why not as a graph',
}


def engine_checks(record: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The plain facts of the sealing (numbers, words), named; nested parts are left to REST."""
    facts = []
    for key, value in record.items():
        if value is None or value == '' or isinstance(value, dict | list):
            continue
        name = SEALING.get(key, key.replace('_', ' ').capitalize())
        facts.append((name, _plain(key, value)))
    return facts


def _plain(key: str, value: Any) -> str:
    if isinstance(value, bool):
        return 'yes' if value else 'no'
    if key == 'agreement':
        return f'{100 * value:.1f} %'
    return f'{value:.2g}' if isinstance(value, float) else str(value)
