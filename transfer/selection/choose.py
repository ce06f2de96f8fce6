"""Which source a training starts from: P2L ranks all, a linear head is cross-validated on the first few, the best is taken."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from p2l import ranking
from p2l.ranking import DECIMALS, RankedSource, SourceProfile, choose_within_noise, shortlist
from transfer.features.metrics import accuracy, wilson_interval
from transfer.finetune.flops import count_multiply_adds
from transfer.selection.context import ProbedSource, TrainingContext
from transfer.spec.errors import TrainingError, UnusableSourceError
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.signatures.class_means import read_class_means

REFERENCE_IMAGES = (
    200  # images: their mean feature is off by 7 % of a feature's own deviation, data sets differ by far more
)


@dataclass(frozen=True)
class SourceChoice:
    """The source taken, with the evidence."""

    source: SourceModelSpec
    learned: ProbedSource
    why: str
    ranking: list[dict[str, Any]]
    probes: list[dict[str, Any]]


@dataclass(frozen=True)
class Preference:
    """What decides between sources that a probe cannot tell apart: the first of these numbers, the next where it is equal."""

    because: tuple[str, ...]  # of each, the end of a sentence that begins with a source
    worth: Callable[[ProbedSource], tuple[float, ...]]


def rank_sources(shop: TrainingContext) -> list[RankedSource]:
    """All candidates by P2L, best first: one forward pass of the reference. Without a reference, by size alone.

    TrainingError when there is no candidate, or not the one that was asked for.
    """
    names = [source.name for source in shop.spec.sources]
    if not names:
        raise TrainingError('There is no source model to start from: sync the zoo or import one.')
    if shop.spec.source not in ('auto', *names):
        raise TrainingError(f'The source model {shop.spec.source!r} is not among those that may be used.')
    rows = choose_reference_rows(shop.labels)
    features = _reference_features(shop, rows)
    with shop.course.phase('rank', 'Comparing your images with those of the sources'):
        candidates = [
            _candidate(shop, source, 0 if features is None else features.shape[1])
            for source in shop.spec.sources
        ]
        features = np.ones((len(rows), 1)) if features is None else features
        spec = shop.spec
        return ranking.rank_sources(
            features,
            candidates,
            spec.weights,
            spec.seed,
            divergence=spec.divergence,
            labels=shop.labels[rows],
        )


def choose_reference_rows(labels: np.ndarray) -> np.ndarray:
    """The rows of the images that the reference looks at, ascending: at most REFERENCE_IMAGES, every class with its share."""
    by_class = np.argsort(labels, kind='stable')
    places = np.linspace(0, len(labels) - 1, min(REFERENCE_IMAGES, len(labels))).round().astype(int)
    return np.sort(by_class[places])


def _reference_features(shop: TrainingContext, rows: np.ndarray) -> np.ndarray | None:
    """P2L's features of these images; None without a reference, or where its file cannot be used."""
    reference = shop.spec.reference
    if reference is None:
        shop.note('There is no reference model, so the sources were ranked by size alone.')
        return None
    with shop.course.phase('decode', f'Reading {len(shop.labels)} images'):
        shop.pixels(reference.side)
    with shop.course.phase('reference', 'Looking at your images with the reference model'):
        try:
            return np.maximum(shop.features(reference, rows)[2], 0)  # P2L's feature: Architecture.features
        except UnusableSourceError as error:
            shop.note(
                f'The reference model cannot be used here ({error.message}), so the sources were ranked by size alone.'
            )
            return None


def _candidate(shop: TrainingContext, source: SourceModelSpec, width: int) -> SourceProfile:
    if source.signature and width and len(source.signature) != width:
        shop.note(f'The signature of {source.name} is of another reference model and was left out.')
    signature = source.signature if len(source.signature) == width else None
    reference = shop.spec.reference.digest if shop.spec.reference else ''
    class_means = read_class_means(source, reference) if shop.spec.divergence == 'emd' else None
    return SourceProfile(
        source.name, source.images, signature, source.dataset, source.parameters, class_means
    )


def probe_first_usable(shop: TrainingContext, ranked: Sequence[RankedSource]) -> ProbedSource:
    """The linear head on the source that was asked for, or on the first of the ranking that can be used."""
    if shop.spec.source != 'auto':
        return shop.learn(_find_source(shop, shop.spec.source))
    for item in ranked:
        if learned := _try(shop, item.name):
            return learned
    raise UnusableSourceError('None of the source models can be used: ' + ' '.join(shop.notes))


def choose_source(
    shop: TrainingContext,
    ranked: Sequence[RankedSource],
    first: ProbedSource,
    preference: Preference | None = None,
) -> SourceChoice:
    """Probe the shortlist and take the best, or simply the source that was asked for. `preference` decides between sources whose
    probes differ by no more than noise. Without one the P2L score does, and on a CPU, of networks with equal scores, the lighter
    one is taken: it learns for its whole schedule there (transfer.finetune.plan.LIGHT), and answers sooner.
    """
    table = [dataclasses.asdict(item) for item in ranked]
    if shop.spec.source != 'auto':
        source = first.network.source
        return SourceChoice(
            source, first, f'{_title(source)} was asked for.', table, [_probe_row(shop, first, 0.0)]
        )
    probed: list[ProbedSource] = []
    rows = []
    with shop.course.phase('probe', 'Trying a linear model on the best-ranked sources'):
        for item in shortlist(ranked, shop.spec.shortlist):
            start = time.monotonic()
            if learned := _try(shop, item.name):
                probed.append(learned)
                rows.append(_probe_row(shop, learned, time.monotonic() - start))
    if not probed:
        probed, rows = [first], [_probe_row(shop, first, 0.0)]
    learned, why = choose_best_probe(shop.labels, probed, preference or _usual(shop, ranked))
    shop.let_go_of_all_but(learned.network.source)
    return SourceChoice(learned.network.source, learned, why, table, rows)


def _usual(shop: TrainingContext, ranked: Sequence[RankedSource]) -> Preference:
    scores = {item.name: item.score for item in ranked}

    def worth(item: ProbedSource) -> tuple[float, ...]:
        macs = count_multiply_adds(item.network) if shop.device.type == 'cpu' else 0.0
        return scores[item.network.source.name], -macs

    return Preference(('is ranked higher by P2L', 'is the lighter network'), worth)


def choose_best_probe(
    labels: np.ndarray, probed: Sequence[ProbedSource], preference: Preference
) -> tuple[ProbedSource, str]:
    """The best probe; but a source that is preferred goes before it when the two differ by no more than noise."""
    best = max(probed, key=lambda item: accuracy(item.probe.logits, labels))
    hits = [each.probe.logits.argmax(1) == labels for each in probed]
    worths = [preference.worth(each) for each in probed]
    place = choose_within_noise(hits, worths)
    item = probed[place]
    share, title = accuracy(item.probe.logits, labels), _title(item.network.source)
    if item is best:
        return (
            item,
            f'{title} gave the best linear model of the {len(probed)} probed: {share:.1%} out-of-fold.',
        )
    other = accuracy(best.probe.logits, labels)
    pairs = zip(preference.because, worths[place], worths[probed.index(best)], strict=True)
    because = next(reason for reason, mine, its in pairs if round(mine, DECIMALS) != round(its, DECIMALS))
    return item, (
        f'{title} {because}, and its linear model ({share:.1%} out-of-fold) differs from the best one '
        f'({_title(best.network.source)}, {other:.1%}) by no more than chance.'
    )


def _try(shop: TrainingContext, name: str) -> ProbedSource | None:
    try:
        return shop.learn(_find_source(shop, name))
    except UnusableSourceError as error:
        shop.note(f'The source {name} was left out: {error.message}.')
        return None


def _find_source(shop: TrainingContext, name: str) -> SourceModelSpec:
    return next(source for source in shop.spec.sources if source.name == name)


def _title(source: SourceModelSpec) -> str:
    return f'{source.title} ({source.name})' if source.title else source.name


def _probe_row(shop: TrainingContext, learned: ProbedSource, seconds: float) -> dict[str, Any]:
    right = int((learned.probe.logits.argmax(1) == shop.labels).sum())
    return {
        'name': learned.network.source.name,
        'accuracy': right / len(shop.labels),
        'interval': wilson_interval(right, len(shop.labels)),
        'penalty': learned.probe.penalty,
        'seconds': round(seconds, 3),
    }
