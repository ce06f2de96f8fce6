"""What this installation has learned of choosing sources: read by every training and by the administrators' page.

`manage.py zoo evaluate` and `zoo fit` write it (recognition.zoo.benchmark_results); until then what ships with Graft counts.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from django.conf import settings

from transfer.spec.train_spec import TrainSpec


@dataclass(frozen=True)
class SelectionParams:
    """What trainings take over from recorded outcomes."""

    weights: tuple[float, float]  # likeness : size
    forecast: dict[str, float]  # a p2l.forecast.Forecaster; empty: nothing is foretold
    origin: str  # a sentence


def get_benchmark_folder() -> Path:
    return Path(settings.DATA_DIR) / 'evidence'


def read_latest_result() -> dict[str, Any] | None:
    """The newest evaluation on this installation, as recognition.zoo.benchmark_results.conclude wrote it; None before the first."""
    path = get_benchmark_folder() / 'result.json'
    return dict(json.loads(path.read_text())) if path.is_file() else None


def read_selection_params() -> SelectionParams:
    own = get_benchmark_folder() / 'learned.json'
    path = own if own.is_file() else Path(settings.SHIPPED_SELECTION_PARAMS)
    if not path.is_file():
        return SelectionParams(TrainSpec().weights, {}, 'no outcomes yet')
    kept = json.loads(path.read_text())
    return SelectionParams((kept['weights'][0], kept['weights'][1]), kept['forecast'], kept['origin'])
