"""Detectors, for forms that offer a choice of their kinds and pages that show the report of one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from transfer.spec.detector_info import DetectorInfo
from transfer.spec.detectors import DETECTORS
from transfer.spec.records import from_json
from transfer.spec.report import (
    BoxReport,
    ClassDetectionReport,
    DetectionReport,
    EngineInfo,
    Mistakes,
    WorstImage,
)

# The records of a report are here for pages, which import no learning code.
__all__ = [
    'KINDS',
    'BoxReport',
    'ClassDetectionReport',
    'DetectionReport',
    'EngineInfo',
    'Mistakes',
    'WorstImage',
    'get_info',
    'list_choices',
    'read_engine',
    'read_figures',
]

KINDS = ('auto', *DETECTORS)


def list_choices() -> list[tuple[str, str]]:
    """(kind, words) of a form's choice, the automatic one first."""
    return [('auto', 'Automatic')] + [
        (info.kind, f'{info.name}: {info.summary}') for info in DETECTORS.values()
    ]


def get_info(kind: str) -> DetectorInfo[Any]:
    """Name and sentences of a kind; of a kind that this version does not know, the kind itself as its
    name."""
    unknown = DetectorInfo(kind=kind, options=dict, name=kind, summary='', why='')
    return DETECTORS.get(kind, unknown)


def read_figures(report: Mapping[str, Any]) -> DetectionReport:
    """The figures of a detector in its report, also as an earlier version stored them."""
    return from_json(DetectionReport, report['detection'], 'detection')


def read_engine(report: Mapping[str, Any]) -> EngineInfo:
    """What serves a model, by its report."""
    return from_json(EngineInfo, report['engine'], 'engine')
