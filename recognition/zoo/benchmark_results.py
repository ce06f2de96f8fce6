"""What an evaluation found: the rules of choice on one table, the weights fitted to it, and the accuracies it lets foretell.

Kept as JSON in DATA_DIR/evidence: `result.json` for the administrators' page, `learned.json` for every later training.
"""

from __future__ import annotations

import dataclasses
import json
import os
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from django.utils import timezone

from p2l import forecast
from p2l.benchmark import baselines, fit_weights, metrics, records
from p2l.scores import WEIGHTS
from recognition import audit
from recognition.errors import InvalidInputError
from recognition.zoo.selection_params import get_benchmark_folder, read_selection_params

OURS = 'shortlist'  # in the name of the rule that trainings follow
SIMPLE = ('random', 'largest', 'generic', 'static')


@dataclass(frozen=True)
class FittedParams:
    """The size weight before and after fitting, each with its mean regret on the recorded targets."""

    before: tuple[float, float]
    after: tuple[float, float]
    regret_before: float
    regret_after: float
    changed: bool
    forecast: dict[str, float]


def compare_rules(folder: Path) -> dict[str, Any]:
    """Compare the rules on what the folder records so far, and keep the result there and for the administrators' page.

    InvalidInputError when the folder holds too little to compare anything.
    """
    evidence = _read(folder)
    compared = baselines.evaluate_baselines(evidence)
    result = {
        'made_at': timezone.now().isoformat(timespec='seconds'),
        'folder': str(folder),
        'setup': dict(evidence.setup),
        'targets': _targets(evidence),
        'sources': _sources(evidence),
        'accuracy': _rounded(evidence.table.mean),
        'rules': _as_json(compared),
        'ahead_of': _ahead_of(compared),
        'signed': _among_signed(evidence),
        'exhaustive_seconds': float(baselines.exhaustive_seconds(evidence).mean()),
        'forecast': _foretold(evidence),
        'weights': _fitted_weights(evidence),
    }
    _write(folder / 'result.json', result)
    _write(get_benchmark_folder() / 'result.json', result)
    return result


def fit_selection_params(folder: Path, keep: Path | None = None) -> FittedParams:
    """Fit weights and forecaster to a recorded evaluation and keep them for every later training (or in the file `keep`).

    The weights in use stay unless the regret, each target judged by the weights of the others, falls. InvalidInputError when too
    little is recorded.
    """
    evidence = _read(folder)
    used = read_selection_params()
    found = _fit(evidence, used.weights)
    try:
        foretold = forecast.fit_forecaster(baselines.collect_finetunings(evidence, found.weights)).to_json()
    except ValueError as error:
        raise InvalidInputError(str(error), field='folder') from error
    names = ', '.join(evidence.table.targets)
    origin = f'{int(foretold["rows"])} finetunings on {len(evidence.table.targets)} targets ({names})'
    values = {'weights': list(found.weights), 'forecast': foretold, 'origin': origin}
    _write(keep or get_benchmark_folder() / 'learned.json', values)
    audit.record(None, 'fit the choice of sources', origin)
    return FittedParams(
        used.weights, found.weights, found.before.regret.mean, found.after.regret.mean, found.better, foretold
    )


def _read(folder: Path) -> records.BenchmarkRecord:
    try:
        return records.read_record(folder)
    except ValueError as error:
        raise InvalidInputError(str(error), field='folder') from error


def _fit(evidence: records.BenchmarkRecord, used: tuple[float, float]) -> fit_weights.WeightFit:
    return fit_weights.fit_size_weight(
        baselines.score_similarity(evidence, 'kl'), baselines.score_size(evidence), evidence.table, used
    )


def _as_json(compared: list[metrics.BaselineResult]) -> list[dict[str, Any]]:
    return [dataclasses.asdict(rule) | {'by_target': list(rule.by_target)} for rule in compared]


def _ahead_of(compared: list[metrics.BaselineResult]) -> list[dict[str, Any]]:
    """By how much accuracy the product's rule picks better than the simple ones, on the same targets."""
    ours = next(rule for rule in compared if OURS in rule.name)
    simple = [rule for rule in compared if rule.name.startswith(SIMPLE)]
    return [{'name': rule.name, **dataclasses.asdict(metrics.compare_regrets(ours, rule))} for rule in simple]


def _among_signed(evidence: records.BenchmarkRecord) -> dict[str, Any] | None:
    """The same comparison among the sources that have a signature: only there do divergences know every source."""
    signed = records.select_with_signature(evidence)
    return (
        {'sources': list(signed.table.sources), 'rules': _as_json(baselines.evaluate_baselines(signed))}
        if signed
        else None
    )


def _targets(evidence: records.BenchmarkRecord) -> list[dict[str, Any]]:
    noise = metrics.seed_errors(evidence.table)
    return [
        {
            'name': name,
            'classes': int(evidence.classes[index]),
            'images': int(evidence.train_images[index]),
            'held': int(evidence.test_images[index]),
            'seeds': int(evidence.complete[index].sum()),
            'noise': round(float(noise[index]), 4),
        }
        for index, name in enumerate(evidence.table.targets)
    ]


def _sources(evidence: records.BenchmarkRecord) -> list[dict[str, Any]]:
    return [
        {
            'name': source.name,
            'dataset': source.dataset,
            'images': source.images,
            'parameters': int(evidence.parameters[index]),
            'signed': source.signature is not None,
        }
        for index, source in enumerate(evidence.sources)
    ]


def _fitted_weights(evidence: records.BenchmarkRecord) -> dict[str, Any]:
    found = _fit(evidence, WEIGHTS)
    return {
        'weights': list(found.weights),
        'before': found.before.regret.mean,
        'after': found.after.regret.mean,
    }


def _foretold(evidence: records.BenchmarkRecord) -> dict[str, Any] | None:
    """How often the 90 % interval covers the accuracy measured later on targets that it was not learned from: of the source taken
    (`targets_covered`; the median `width` is of these), and of those taken from random halves of the zoo (`covered`)."""
    outcomes = baselines.collect_finetunings(evidence)
    if len(evidence.table.targets) <= forecast.MIN_TARGETS:
        return None
    hits, width = forecast.validate_intervals(outcomes)
    scores, _ = baselines.score_by_choice(evidence, baselines.SHORTLIST)
    taken = [scores[key].argmax() for key in zip(outcomes.target, outcomes.seed, strict=True)]
    picked = np.array(taken) == outcomes.source
    by_target = [
        float(hits[picked & (outcomes.target == target)].mean()) for target in np.unique(outcomes.target)
    ]
    return {
        'covered': float(np.average(hits, weights=outcomes.weight)),
        'targets_covered': float(np.mean(by_target)),
        'width': float(np.median(width[picked])),
    }


def _rounded(values: np.ndarray) -> list[list[float | None]]:
    return [[None if np.isnan(value) else round(float(value), 4) for value in row] for row in values]


def _write(path: Path, values: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f'.{path.stem}.{uuid.uuid4().hex}.part')
    aside.write_text(json.dumps(values, indent=1) + '\n')
    os.replace(aside, path)
