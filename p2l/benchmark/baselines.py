"""The baselines of source selection: each turned into scores on a recorded benchmark and evaluated on the
same table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from p2l.benchmark.fit_weights import held_out_scores
from p2l.benchmark.metrics import (
    BaselineResult,
    add_cost,
    evaluate_baseline,
    score_by_other_targets,
    score_by_size,
)
from p2l.benchmark.records import BenchmarkRecord
from p2l.forecast import MIN_TARGETS, FinetuningRecord, fit_forecaster
from p2l.ranking import RankedSource, SourceProfile, choose_within_noise, rank_sources, shortlist
from p2l.scores import (
    DIVERGENCES,
    WEIGHTS,
    divergences,
    earth_movers_distance,
    similarity_scores,
    size_scores,
)
from p2l.signatures import ClassMeans, Floats

SHORTLIST = 5  # sources that are probed
RANDOM_ZOOS = 100  # drawn from the recorded one, each source with probability one half
NAMES = {
    'kl': 'KL(target || source) only',
    'kl_reverse': 'KL(source || target) only',
    'js': 'Jensen-Shannon only',
    'cosine': 'cosine only',
    'emd': "earth mover's distance only",
}

Shorten = Callable[[list[RankedSource], int], list[RankedSource]]


def evaluate_baselines(record: BenchmarkRecord, count: int = SHORTLIST) -> list[BaselineResult]:
    """Evaluate every baseline on the same table, with its cost: the seconds of one choice, as measured."""
    table, targets = record.table, len(record.table.targets)
    images = [source.images for source in record.sources]
    default = find_default_source(record)
    always_default = np.tile([float(source == default) for source in table.sources], (targets, 1))
    ranking_cost, probing_cost = (
        _mean_over_seeds(record.reference_seconds),
        _cost(record, 'features', 'probe'),
    )
    nothing = np.zeros(targets)
    scored: list[tuple[str, Floats, Floats]] = [
        ('random', np.zeros((targets, len(images))), nothing),
        ('largest source', score_by_size(images, targets), nothing),
        (f'generic ({default})', always_default, nothing),
        ('static (best elsewhere)', score_by_other_targets(table), nothing),
    ]
    for kind in DIVERGENCES:
        scored.append((NAMES[kind], score_similarity(record, kind), ranking_cost))
    similarity, size = score_similarity(record, 'kl'), score_size(record)
    by_choice, choice_cost = score_by_choice(record, count)
    p2l = WEIGHTS[0] * similarity + WEIGHTS[1] * size
    scored += [
        (f'P2L {WEIGHTS[0]:g} : {WEIGHTS[1]:g}', p2l, ranking_cost),
        ('P2L fitted on the other targets', held_out_scores(similarity, size, table), ranking_cost),
        (f'P2L, shortlist of {count}, probe', by_choice, choice_cost),
    ]
    if (forecasts := score_by_forecast(record, by_choice, count)) is not None:
        scored.append((f'highest expected accuracy of {count}', forecasts, choice_cost))
    scored += [
        ('probe of every source', record.measures['probe'], probing_cost),
        ('LogME', record.measures['logme'], _cost(record, 'features', 'logme')),
        ('k-NN', record.measures['knn'], _cost(record, 'features', 'knn')),
        ('LEEP', record.measures['leep'], _cost(record, 'leep')),
        ('oracle', np.nan_to_num(table.mean, nan=-1.0), exhaustive_seconds(record)),
    ]
    return [
        add_cost(
            evaluate_baseline(name, _keep_complete_seeds(record, scores), table),
            seconds,
            exhaustive_seconds(record),
        )
        for name, scores, seconds in scored
    ]


def score_size(record: BenchmarkRecord) -> Floats:
    """z(log images), (sources,); of one data set the larger network has 1e-6 more, so that it goes first as
    in the product."""
    order = np.argsort(np.argsort(record.parameters, kind='stable'), kind='stable')
    return np.asarray(size_scores([source.images for source in record.sources]) + 1e-6 * order)


def find_default_source(record: BenchmarkRecord) -> str:
    """The source taken without any choice: of the networks of the largest data set, that with most
    parameters."""
    images = np.array([source.images for source in record.sources])
    return record.sources[int(np.where(images == images.max(), record.parameters, -1).argmax())].name


def score_similarity(record: BenchmarkRecord, kind: str) -> Floats:
    """z(-divergence), (targets, seeds, sources).

    0, the mean, for sources without a signature; NaN where the reference network did not run.
    """
    known = [index for index, source in enumerate(record.sources) if source.signature is not None]
    scores = np.full((*record.reference_seconds.shape, len(record.sources)), np.nan)
    for key in record.means:
        scores[key] = 0.0
        if known:
            measured = _divergences(record, kind, key, [record.sources[index] for index in known])
            scores[key][known] = similarity_scores(measured)
    return scores


def _divergences(
    record: BenchmarkRecord, kind: str, key: tuple[int, int], sources: list[SourceProfile]
) -> Floats:
    """The divergences of one (target, seed) from these sources, all with a signature: (sources,)."""
    means = np.array([source.signature for source in sources], dtype=np.float64)
    if kind != 'emd':
        return np.asarray(divergences(kind, record.means[key], means)[0])
    class_means = [
        source.class_means or ClassMeans(mean[None], np.ones(1))
        for source, mean in zip(sources, means, strict=True)
    ]
    return np.array([earth_movers_distance(record.class_means[key], each) for each in class_means])


def score_by_choice(
    record: BenchmarkRecord,
    count: int,
    shorten: Shorten = shortlist,
    weights: tuple[float, float] = WEIGHTS,
) -> tuple[Floats, Floats]:
    """Score by the product's choice: P2L, the first `count` probed, the best probe or within noise the
    preferred source.

    Returns the scores (targets, seeds, sources): 0 for the source chosen, -1 for the second best probe and so
    on, then those that were not probed in the order of P2L; and the seconds of the choice (targets,).
    """
    zoo = np.arange(len(record.sources))
    scores = np.full((*record.reference_seconds.shape, len(zoo)), np.nan)
    seconds = np.full(record.reference_seconds.shape, np.nan)
    for target, seed in zip(*np.nonzero(record.complete), strict=True):
        chosen, probed, ranked = _choose(record, (target, seed), zoo, count, shorten, weights)
        by_probe = sorted(probed, key=lambda place: -record.measures['probe'][target, seed, place])
        order = [chosen, *(place for place in by_probe if place != chosen)]
        order += [place for place in ranked if place not in probed]
        scores[target, seed, order] = -np.arange(len(order), dtype=float)
        each = record.seconds['features'][target, seed] + record.seconds['probe'][target, seed]
        seconds[target, seed] = record.reference_seconds[target, seed] + each[probed].sum()
    return scores, _mean_over_seeds(seconds)


def _choose(
    record: BenchmarkRecord,
    key: tuple[int, int],
    zoo: NDArray[np.int64],
    count: int,
    shorten: Shorten,
    weights: tuple[float, float],
) -> tuple[int, list[int], list[int]]:
    """The product's choice for one (target, seed) among the sources `zoo` (their places).

    Returns the place of the source chosen, of those probed, and of all as ranked.
    """
    places = {record.table.sources[place]: int(place) for place in zoo}
    profiles = [record.sources[place] for place in zoo]
    ranked = rank_sources(record.means[key][None], profiles, weights, bootstraps=0)
    few = shorten(ranked, count)
    probed = [places[item.name] for item in few]
    correct = [record.probe_correct[*key, place] for place in probed]
    preferences = [(item.score, -float(record.macs[place])) for item, place in zip(few, probed, strict=True)]
    return probed[choose_within_noise(correct, preferences)], probed, [places[item.name] for item in ranked]


def selection_probabilities(record: BenchmarkRecord, weights: tuple[float, float] = WEIGHTS) -> Floats:
    """How often each source is chosen from a random half of the zoo: (targets, seeds, sources), of sum 1
    where cells exist.

    Other installations keep other zoos: what is fitted to these probabilities shall hold there.
    """
    shares = np.zeros((*record.reference_seconds.shape, len(record.sources)))
    for key in record.means:
        available = np.flatnonzero(~np.isnan(record.table.accuracy[key[0], :, key[1]]))
        if len(available):
            draws = np.random.default_rng(0).random((RANDOM_ZOOS, len(available))) < 0.5
            zoos = [available[draw] for draw in draws if draw.any()] or [available]
            for zoo in zoos:
                chosen, _, _ = _choose(record, key, zoo, SHORTLIST, shortlist, weights)
                shares[key][chosen] += 1 / len(zoos)
    return shares


def collect_finetunings(record: BenchmarkRecord, weights: tuple[float, float] = WEIGHTS) -> FinetuningRecord:
    """Every finished cell as a row to fit a forecaster to; targets are numbered as in the table."""
    size = size_scores([source.images for source in record.sources])
    score = weights[0] * score_similarity(record, 'kl') + weights[1] * size
    accuracy = record.table.accuracy.transpose(0, 2, 1)
    target, seed, source = place = np.nonzero(~np.isnan(accuracy) & ~np.isnan(score))
    return FinetuningRecord(
        weight=selection_probabilities(record, weights)[place],
        target=target,
        probe=record.measures['probe'][place],
        probe_images=record.train_images[target],
        score=score[place],
        accuracy=accuracy[place],
        test_images=record.test_images[target],
        seed=seed,
        source=source,
    )


def score_by_forecast(record: BenchmarkRecord, by_choice: Floats, count: int) -> Floats | None:
    """The expected accuracy of the first `count` of each choice, fitted without the target: (targets, seeds,
    sources).

    NaN for the sources that were not probed. None where too few other targets are recorded.
    """
    if len(record.table.targets) <= MIN_TARGETS:
        return None
    rows = collect_finetunings(record)
    scores = np.full(by_choice.shape, np.nan)
    for target in np.unique(rows.target):
        forecaster = fit_forecaster(rows.select(rows.target != target))
        for row in np.flatnonzero(rows.target == target):
            key = target, rows.seed[row], rows.source[row]
            if by_choice[key] > -count:  # those not probed stand behind; NaN where the seed was not run whole
                expected = forecaster.predict(rows.probe[row], rows.probe_images[row], rows.score[row])
                scores[key] = expected.middle
    return scores


def exhaustive_seconds(record: BenchmarkRecord) -> Floats:
    """Seconds of finetuning every source once, from its linear head, (targets,)."""
    return _cost(record, 'features', 'probe', 'finetune')


def _cost(record: BenchmarkRecord, *steps: str) -> Floats:
    """Seconds of these steps for all sources together, mean over the seeds that were run whole:
    (targets,)."""
    total = np.sum([record.seconds[step] for step in steps], axis=0).sum(2)
    return _mean_over_seeds(np.where(record.complete, total, np.nan))


def _mean_over_seeds(values: Floats) -> Floats:
    """(targets, seeds) to (targets,), over the seeds that are known."""
    known = ~np.isnan(values)
    return np.asarray(np.where(known, values, 0.0).sum(1) / np.maximum(known.sum(1), 1))


def _keep_complete_seeds(record: BenchmarkRecord, scores: Floats) -> Floats:
    """(targets, seeds, sources): NaN for a seed in which not every source was run, whose scores would leave
    some out."""
    seeds = record.complete.shape[1]
    by_seed = np.repeat(scores[:, None], seeds, axis=1) if scores.ndim == 2 else scores
    return np.where(record.complete[:, :, None], by_seed, np.nan)
