"""Evaluate a benchmark of source selection: compare the rules on its record, and fit the parameters that
trainings use.

Kept as JSON in DATA_DIR/benchmark: `result.json` for the administrators' page, `selection_params.json` for
every later training.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from django.utils import timezone

from p2l import forecast
from p2l.benchmark import baselines, fit_weights, metrics, records
from p2l.scores import WEIGHTS
from recognition import audit
from recognition.errors import InvalidInputError
from recognition.zoo.selection_params import (
    PARAMS,
    RESULT,
    AccuracyGain,
    BenchmarkResult,
    BenchmarkSource,
    ForecastCoverage,
    RuleResult,
    SignatureComparison,
    TargetSummary,
    WeightsComparison,
    get_benchmark_folder,
    read_selection_params,
)
from transfer.runtime import atomic_write
from transfer.spec.records import from_json, to_json

PRODUCT_RULE = 'shortlist'  # in the name of the rule that trainings follow
BASELINES = ('random', 'largest', 'generic', 'static')  # the names of their rules begin so


@dataclass(frozen=True)
class FittedParams:
    """The weights (similarity : size) before and after fitting, each with its mean regret on the recorded
    targets.
    """

    before: tuple[float, float]
    after: tuple[float, float]
    regret_before: float
    regret_after: float
    changed: bool
    forecast: dict[str, float]


def compare_rules(folder: Path) -> BenchmarkResult:
    """Compare the rules on what the folder records so far; write the result there and for the administrators'
    page.

    InvalidInputError when the folder holds too little to compare anything.
    """
    record = _read(folder)
    compared = baselines.evaluate_baselines(record)
    result = BenchmarkResult(
        made_at=timezone.now().isoformat(timespec='seconds'),
        folder=str(folder),
        setup=dict(record.setup),
        targets=_summarize_targets(record),
        sources=_summarize_sources(record),
        accuracy=_round_accuracy(record.table.mean),
        rules=_summarize_rules(compared),
        ahead_of=_compute_gains(compared),
        with_signature=_compare_with_signature(record),
        exhaustive_seconds=float(baselines.exhaustive_seconds(record).mean()),
        forecast=_measure_coverage(record),
        weights=_compare_weights(record),
    )
    for path in (folder / RESULT, get_benchmark_folder() / RESULT):
        atomic_write.write_json(path, to_json(result), indent=1)
    return result


def fit_selection_params(folder: Path, keep: Path | None = None) -> FittedParams:
    """Fit weights and forecaster to a recorded benchmark, and write them for every later training (or into
    the file `keep`).

    The weights in use stay unless the regret falls, where each target uses the weights that were fitted on
    the others. InvalidInputError when too little is recorded.
    """
    record = _read(folder)
    used = read_selection_params()
    fit = _fit(record, used.weights)
    try:
        forecaster = forecast.fit_forecaster(baselines.collect_finetunings(record, fit.weights)).to_json()
    except ValueError as error:
        raise InvalidInputError(str(error), field='folder') from error
    names = ', '.join(record.table.targets)
    origin = f'{int(forecaster["rows"])} finetunings on {len(record.table.targets)} targets ({names})'
    values = {'weights': list(fit.weights), 'forecast': forecaster, 'origin': origin}
    atomic_write.write_json(keep or get_benchmark_folder() / PARAMS, values, indent=1)
    audit.record(None, 'fit selection parameters', origin)
    return FittedParams(
        used.weights, fit.weights, fit.before.regret.mean, fit.after.regret.mean, fit.better, forecaster
    )


def _read(folder: Path) -> records.BenchmarkRecord:
    try:
        return records.read_record(folder)
    except ValueError as error:
        raise InvalidInputError(str(error), field='folder') from error


def _fit(record: records.BenchmarkRecord, used: tuple[float, float]) -> fit_weights.WeightFit:
    return fit_weights.fit_size_weight(
        baselines.score_similarity(record, 'kl'), baselines.score_size(record), record.table, used
    )


def _summarize_rules(compared: list[metrics.BaselineResult]) -> tuple[RuleResult, ...]:
    return tuple(from_json(RuleResult, dataclasses.asdict(rule)) for rule in compared)


def _compute_gains(compared: list[metrics.BaselineResult]) -> tuple[AccuracyGain, ...]:
    """How much more accurate the product's picks are than those of the baselines, on the same targets."""
    ours = next(rule for rule in compared if PRODUCT_RULE in rule.name)
    simple = [rule for rule in compared if rule.name.startswith(BASELINES)]
    return tuple(
        AccuracyGain(rule.name, **dataclasses.asdict(metrics.compare_regrets(ours, rule))) for rule in simple
    )


def _compare_with_signature(record: records.BenchmarkRecord) -> SignatureComparison | None:
    """The same comparison among the sources with a signature: only there are the divergences of all sources
    known.
    """
    subset = records.select_with_signature(record)
    if subset is None:
        return None
    return SignatureComparison(
        tuple(subset.table.sources), _summarize_rules(baselines.evaluate_baselines(subset))
    )


def _summarize_targets(record: records.BenchmarkRecord) -> tuple[TargetSummary, ...]:
    noise = metrics.seed_errors(record.table)
    return tuple(
        TargetSummary(
            name=name,
            classes=int(record.classes[index]),
            train_images=int(record.train_images[index]),
            test_images=int(record.test_images[index]),
            seeds=int(record.complete[index].sum()),
            noise=round(float(noise[index]), 4),
        )
        for index, name in enumerate(record.table.targets)
    )


def _summarize_sources(record: records.BenchmarkRecord) -> tuple[BenchmarkSource, ...]:
    return tuple(
        BenchmarkSource(
            name=source.name,
            dataset=source.dataset,
            images=source.images,
            parameters=int(record.parameters[index]),
            has_signature=source.signature is not None,
        )
        for index, source in enumerate(record.sources)
    )


def _compare_weights(record: records.BenchmarkRecord) -> WeightsComparison:
    fit = _fit(record, WEIGHTS)
    return WeightsComparison(fit.weights, fit.before.regret.mean, fit.after.regret.mean)


def _measure_coverage(record: records.BenchmarkRecord) -> ForecastCoverage | None:
    """Coverage of the 90 % interval on targets that the forecast was not fitted to; None when there are too
    few targets.
    """
    finetunings = baselines.collect_finetunings(record)
    if len(record.table.targets) <= forecast.MIN_TARGETS:
        return None
    hits, width = forecast.validate_intervals(finetunings)
    scores, _ = baselines.score_by_choice(record, baselines.SHORTLIST)
    best = [scores[key].argmax() for key in zip(finetunings.target, finetunings.seed, strict=True)]
    picked = np.array(best) == finetunings.source
    by_target = [
        float(hits[picked & (finetunings.target == target)].mean())
        for target in np.unique(finetunings.target)
    ]
    return ForecastCoverage(
        covered=float(np.average(hits, weights=finetunings.weight)),
        targets_covered=float(np.mean(by_target)),
        width=float(np.median(width[picked])),
    )


def _round_accuracy(values: np.ndarray) -> tuple[tuple[float | None, ...], ...]:
    return tuple(
        tuple(None if np.isnan(value) else round(float(value), 4) for value in row) for row in values
    )
