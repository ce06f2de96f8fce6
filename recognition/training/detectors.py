"""The kinds of detectors, for forms that offer a choice of them and pages that show one."""

from __future__ import annotations

from typing import Any

from transfer.spec.detectors import DETECTORS, DetectorInfo

KINDS = ('auto', *DETECTORS)


def list_choices() -> list[tuple[str, str]]:
    """(kind, words) of a form's choice, the automatic one first."""
    return [('auto', 'Automatic')] + [
        (info.kind, f'{info.name}: {info.summary}') for info in DETECTORS.values()
    ]


def get_info(kind: str) -> DetectorInfo[Any]:
    """Name and sentences of a kind; of a kind that this version does not know, the kind itself as its
    name."""
    unknown = DetectorInfo(kind=kind, field='', options=dict, name=kind, summary='', why='')
    return DETECTORS.get(kind, unknown)
