"""Choose the source model: rank all by P2L score, probe the first few with a linear head, take the best."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from p2l import ranking
from p2l.ranking import DECIMALS, RankedSource, SourceProfile, choose_within_noise, shortlist
from transfer.features.calibration import calibrated_loss
from transfer.features.extract import last_layer
from transfer.features.metrics import accuracy, format_percent, wilson_interval
from transfer.features.network import count_multiply_adds
from transfer.selection.context import ProbedSource, TrainingContext
from transfer.spec.errors import TrainingError, UnusableSourceError
from transfer.spec.report import ProbeEntry, RankingEntry
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.signatures.class_means import read_class_means

# Images that the reference model sees: their mean feature is off by 7 % of a feature's own deviation, and
# data sets differ by far more.
REFERENCE_IMAGES = 200


@dataclass(frozen=True)
class SourceChoice:
    """The source model chosen, and why."""

    source: SourceModelSpec
    probed: ProbedSource  # as it was before finetuning
    why: str
    ranking: tuple[RankingEntry, ...]
    probes: tuple[ProbeEntry, ...]
    others: tuple[ProbedSource, ...] = ()  # that may answer together with it, the best first


@dataclass(frozen=True)
class Preference:
    """What decides between sources whose probes are equal up to noise: the first of these numbers, the next
    where it is equal.
    """

    reasons: tuple[str, ...]  # of each number, the end of a sentence that begins with a source
    worth: Callable[[ProbedSource], tuple[float, ...]]


def rank_sources(context: TrainingContext) -> list[RankedSource]:
    """Rank all candidates by P2L score, best first: one forward pass of the reference.

    Without a reference, by size alone.

    TrainingError when there is no candidate, or not the one that the spec names.
    """
    names = [source.name for source in context.spec.sources]
    if not names:
        raise TrainingError('There is no source model to start from: sync the zoo or import one.')
    if context.spec.source not in ('auto', *names):
        raise TrainingError(f'The source model {context.spec.source!r} is not among those that may be used.')
    rows = choose_reference_rows(context.labels)
    features = _extract_reference_features(context, rows)
    with context.tracker.phase('rank', 'Comparing your images with those of the sources'):
        candidates = [
            _make_candidate(context, source, 0 if features is None else features.shape[1])
            for source in context.spec.sources
        ]
        features = np.ones((len(rows), 1)) if features is None else features
        spec = context.spec
        return ranking.rank_sources(
            features,
            candidates,
            spec.weights,
            spec.seed,
            divergence=spec.divergence,
            labels=context.labels[rows],
        )


def choose_reference_rows(labels: np.ndarray) -> np.ndarray:
    """The rows of the images that the reference model sees, ascending: at most REFERENCE_IMAGES, every class
    with its share.
    """
    by_class = np.argsort(labels, kind='stable')
    places = np.linspace(0, len(labels) - 1, min(REFERENCE_IMAGES, len(labels))).round().astype(int)
    return np.sort(by_class[places])


def _extract_reference_features(context: TrainingContext, rows: np.ndarray) -> np.ndarray | None:
    """P2L's features of these images, (n, d); None without a reference, or where its file cannot be used."""
    reference = context.spec.reference
    if reference is None:
        context.note('There is no reference model, so the sources were ranked by size alone.')
        return None
    with context.tracker.phase('decode', f'Reading {len(context.labels)} images'):
        context.open_pixels(reference.side)
    with context.tracker.phase('reference', 'Extracting features of your images with the reference model'):
        try:
            network, _, features = context.extract_features(reference, rows)
            return np.maximum(last_layer(network, features), 0)
        except UnusableSourceError as error:
            context.note(
                f'The reference model cannot be used here ({error.message}), '
                'so the sources were ranked by size alone.'
            )
            return None


def _make_candidate(context: TrainingContext, source: SourceModelSpec, width: int) -> SourceProfile:
    if source.signature and width and len(source.signature) != width:
        context.note(f'The signature of {source.name} is of another reference model and was left out.')
    signature = source.signature if len(source.signature) == width else None
    reference = context.spec.reference.digest if context.spec.reference else ''
    class_means = read_class_means(source, reference) if context.spec.divergence == 'emd' else None
    return SourceProfile(
        source.name, source.images, signature, source.dataset, source.parameters, class_means
    )


def probe_first_usable(context: TrainingContext, ranked: Sequence[RankedSource]) -> ProbedSource:
    """Probe the source that the spec names, or the first of the ranking that can be used."""
    if context.spec.source != 'auto':
        return context.probe(_find_source(context, context.spec.source))
    for item in ranked:
        if probed := _try_probe(context, item.name):
            return probed
    raise UnusableSourceError('None of the source models can be used: ' + ' '.join(context.notes))


def choose_source(
    context: TrainingContext,
    ranked: Sequence[RankedSource],
    first: ProbedSource,
    preference: Preference | None = None,
    networks: int = 1,
) -> SourceChoice:
    """Probe the shortlist and take the best, or take the source that the spec names.

    `networks`: how many may answer together; the other ones are kept loaded.

    `preference` decides between sources whose probes differ by no more than noise. Without one the P2L score
    does, and on a CPU, of networks with equal scores, the lighter one is taken: it is finetuned for its whole
    schedule there (transfer.finetune.plan.LIGHT), and predicts faster.
    """
    entries = report_ranking(ranked)
    if context.spec.source != 'auto':
        source = first.network.source
        return SourceChoice(
            source,
            first,
            f'{_full_title(source)} was asked for.',
            entries,
            (_report_probe(context, first, 0.0),),
        )
    probed: list[ProbedSource] = []
    rows = []
    with context.tracker.phase('probe', 'Probing the best-ranked sources with a linear model'):
        for item in shortlist(ranked, context.spec.shortlist):
            start = time.monotonic()
            if candidate := _try_probe(context, item.name):
                probed.append(candidate)
                rows.append(_report_probe(context, candidate, time.monotonic() - start))
    if not probed:
        probed, rows = [first], [_report_probe(context, first, 0.0)]
    best, why = choose_best_probe(context.labels, probed, preference or _default_preference(context, ranked))
    others = choose_others(context.labels, probed, best, networks - 1)
    context.release_others(best.network.source, *(other.network.source for other in others))
    return SourceChoice(best.network.source, best, why, entries, tuple(rows), others)


def choose_others(
    labels: np.ndarray, probed: Sequence[ProbedSource], best: ProbedSource, most: int
) -> tuple[ProbedSource, ...]:
    """At most so many of the other probed sources, the lowest calibrated loss first.

    Networks that answer together see the same square of pixels, so only sources of the same side.
    """
    able = [
        item for item in probed if item is not best and item.network.source.side == best.network.source.side
    ]
    able.sort(key=lambda item: calibrated_loss(item.probe.logits, labels))
    return tuple(able[:most])


def _default_preference(context: TrainingContext, ranked: Sequence[RankedSource]) -> Preference:
    scores = {item.name: item.score for item in ranked}

    def worth(item: ProbedSource) -> tuple[float, ...]:
        macs = count_multiply_adds(item.network) if context.device.type == 'cpu' else 0.0
        return scores[item.network.source.name], -macs

    return Preference(('is ranked higher by P2L', 'is the lighter network'), worth)


def choose_best_probe(
    labels: np.ndarray, probed: Sequence[ProbedSource], preference: Preference
) -> tuple[ProbedSource, str]:
    """The best probe, or a preferred source whose probe differs from it by no more than noise; and a sentence
    that says why.
    """
    best = max(probed, key=lambda item: accuracy(item.probe.logits, labels))
    hits = [each.probe.logits.argmax(1) == labels for each in probed]
    worths = [preference.worth(each) for each in probed]
    place = choose_within_noise(hits, worths)
    item = probed[place]
    share = format_percent(accuracy(item.probe.logits, labels))
    title = _full_title(item.network.source)
    if item is best:
        return (
            item,
            f'{title} gave the best linear model of the {len(probed)} probed: {share} out-of-fold.',
        )
    other = format_percent(accuracy(best.probe.logits, labels))
    pairs = zip(preference.reasons, worths[place], worths[probed.index(best)], strict=True)
    because = next(reason for reason, mine, its in pairs if round(mine, DECIMALS) != round(its, DECIMALS))
    return item, (
        f'{title} {because}, and its linear model ({share} out-of-fold) differs from the best one '
        f'({_full_title(best.network.source)}, {other}) by no more than chance.'
    )


def _try_probe(context: TrainingContext, name: str) -> ProbedSource | None:
    try:
        return context.probe(_find_source(context, name))
    except UnusableSourceError as error:
        context.note(f'The source {name} was left out: {error.message}.')
        return None


def _find_source(context: TrainingContext, name: str) -> SourceModelSpec:
    return next(source for source in context.spec.sources if source.name == name)


def _full_title(source: SourceModelSpec) -> str:
    return f'{source.title} ({source.name})' if source.title else source.name


def _report_probe(context: TrainingContext, probed: ProbedSource, seconds: float) -> ProbeEntry:
    right = int((probed.probe.logits.argmax(1) == context.labels).sum())
    return ProbeEntry(
        name=probed.network.source.name,
        accuracy=right / len(context.labels),
        interval=wilson_interval(right, len(context.labels)),
        penalty=probed.probe.penalty,
        seconds=round(seconds, 3),
    )


def report_ranking(ranked: Sequence[RankedSource]) -> tuple[RankingEntry, ...]:
    """The ranking as TrainReport holds it."""
    return tuple(RankingEntry(**dataclasses.asdict(item)) for item in ranked)
