"""The rules by which a source may be picked, each turned into scores on a record of outcomes, and judged on the same table."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from p2l.benchmark.fit_weights import held_out_scores
from p2l.benchmark.metrics import Judgement, costs, judge, largest, static
from p2l.benchmark.records import Evidence
from p2l.forecast import LEAST_TARGETS, Outcomes, chosen_rows, learn
from p2l.ranking import Candidate, Ranked, first_within_noise, rank, shortlist
from p2l.scores import (
    DIVERGENCES,
    WEIGHTS,
    divergences,
    earth_movers_distance,
    similarity_scores,
    size_scores,
)
from p2l.signatures import Floats, Look

SHORTLIST = 5  # sources that are probed
HALVES = 100  # zoos drawn from the one that was recorded
NAMES = {
    'kl': 'KL(target || source) only',
    'kl_reverse': 'KL(source || target) only',
    'js': 'Jensen-Shannon only',
    'cosine': 'cosine only',
    'emd': "earth mover's distance only",
}


def compare(evidence: Evidence, count: int = SHORTLIST) -> list[Judgement]:
    """Every rule on the same table, with its cost: the seconds of one choice, as measured."""
    table, targets = evidence.table, len(evidence.table.targets)
    images = [candidate.images for candidate in evidence.candidates]
    looking, probing = _mean(evidence.reference_seconds), _cost(evidence, 'features', 'probe')
    nothing = np.zeros(targets)
    rules: list[tuple[str, Floats, Floats]] = [
        ('random', np.zeros((targets, len(images))), nothing),
        ('largest source', largest(images, targets), nothing),
        (f'generic ({generic(evidence)})', _always(evidence, generic(evidence)), nothing),
        ('static (best elsewhere)', static(table), nothing),
    ]
    for kind in DIVERGENCES:
        rules.append((NAMES[kind], similarity(evidence, kind), looking))
    kl, size = similarity(evidence, 'kl'), sizes(evidence)
    few, spent = shortlisted(evidence, count)
    rules += [
        (f'P2L {WEIGHTS[0]:g} : {WEIGHTS[1]:g}', WEIGHTS[0] * kl + WEIGHTS[1] * size, looking),
        ('P2L fitted on the other targets', held_out_scores(kl, size, table), looking),
        (f'P2L, shortlist of {count}, probe', few, spent),
        *(
            (f'highest expected accuracy of {count}', scores, spent)
            for scores in foretold(evidence, few, count)
        ),
        ('probe of every source', evidence.measures['probe'], probing),
        ('LogME', evidence.measures['logme'], _cost(evidence, 'features', 'logme')),
        ('k-NN', evidence.measures['knn'], _cost(evidence, 'features', 'knn')),
        ('LEEP', evidence.measures['leep'], _cost(evidence, 'leep')),
        ('oracle', np.nan_to_num(table.mean, nan=-1.0), exhaustive(evidence)),
    ]
    return [
        costs(judge(name, _where_complete(evidence, scores), table), spent, exhaustive(evidence))
        for name, scores, spent in rules
    ]


def sizes(evidence: Evidence) -> Floats:
    """z(log images), and of one data set the larger network a hair ahead, as in the product: (sources,)."""
    places = np.argsort(np.argsort(evidence.parameters, kind='stable'), kind='stable')
    return np.asarray(size_scores([candidate.images for candidate in evidence.candidates]) + 1e-6 * places)


def generic(evidence: Evidence) -> str:
    """The source that everybody takes by default: of the networks of the largest data set, the one with most parameters."""
    images = np.array([candidate.images for candidate in evidence.candidates])
    return evidence.candidates[int(np.where(images == images.max(), evidence.parameters, -1).argmax())].name


def similarity(evidence: Evidence, kind: str) -> Floats:
    """z(-divergence), (targets, seeds, sources); 0, the mean, for sources without a signature; NaN where nothing was seen."""
    signed = [index for index, candidate in enumerate(evidence.candidates) if candidate.signature is not None]
    found = np.full((*evidence.reference_seconds.shape, len(evidence.candidates)), np.nan)
    for key, mean in evidence.means.items():
        found[key] = 0.0
        if signed:
            found[key][signed] = similarity_scores(
                _divergences(evidence, kind, key, mean, [evidence.candidates[i] for i in signed])
            )
    return found


def _divergences(
    evidence: Evidence, kind: str, key: tuple[int, int], mean: Floats, candidates: list[Candidate]
) -> Floats:
    means = np.array([candidate.signature for candidate in candidates], dtype=np.float64)
    if kind != 'emd':
        return divergences(kind, mean, means)[0]
    looks = [
        candidate.look or Look(own[None], np.ones(1))
        for candidate, own in zip(candidates, means, strict=True)
    ]
    return np.array([earth_movers_distance(evidence.looks[key], look) for look in looks])


def shortlisted(
    evidence: Evidence,
    count: int,
    choose: Callable[[list[Ranked], int], list[Ranked]] = shortlist,
    weights: tuple[float, float] = WEIGHTS,
) -> tuple[Floats, Floats]:
    """The product's choice: P2L, the first few probed, the best probe or what is preferred within noise. (scores, seconds)."""
    every = np.arange(len(evidence.table.sources))
    scores = np.full((*evidence.reference_seconds.shape, len(every)), np.nan)
    spent = np.full(evidence.reference_seconds.shape, np.nan)
    for target, seed in zip(*np.nonzero(evidence.complete), strict=True):
        taken, probed, order = _choice(evidence, (target, seed), every, count, choose, weights)
        by_probe = sorted(probed, key=lambda place: -evidence.measures['probe'][target, seed, place])
        rest = [place for place in order if place not in probed]
        order = [taken, *(place for place in by_probe if place != taken), *rest]
        scores[target, seed, order] = -np.arange(len(order), dtype=float)
        own = evidence.seconds['features'][target, seed] + evidence.seconds['probe'][target, seed]
        spent[target, seed] = evidence.reference_seconds[target, seed] + own[probed].sum()
    return scores, _mean(spent)


def _choice(
    evidence: Evidence,
    key: tuple[int, int],
    zoo: NDArray[np.int64],
    count: int,
    choose: Callable[[list[Ranked], int], list[Ranked]],
    weights: tuple[float, float],
) -> tuple[int, list[int], list[int]]:
    """What the product takes of the sources `zoo` (their places) on one (target, seed); those probed; all of them as ranked."""
    names = {evidence.table.sources[place]: int(place) for place in zoo}
    ranked = rank(
        evidence.means[key][None], [evidence.candidates[place] for place in zoo], weights, bootstraps=0
    )
    few = choose(ranked, count)
    probed = [names[item.name] for item in few]
    hits = [evidence.right[*key, place] for place in probed]
    worths = [(item.score, -evidence.macs[place]) for item, place in zip(few, probed, strict=True)]
    return probed[first_within_noise(hits, worths)], probed, [names[item.name] for item in ranked]


def chances(evidence: Evidence, weights: tuple[float, float] = WEIGHTS) -> Floats:
    """How often each source is taken where every one is in the zoo with a chance of one half: (targets, seeds, sources), a sum
    of 1 wherever cells are recorded. Other installations keep other zoos: what is learned from these shall hold there."""
    found = np.zeros((*evidence.reference_seconds.shape, len(evidence.table.sources)))
    for key in evidence.means:
        there = np.flatnonzero(~np.isnan(evidence.table.accuracy[key[0], :, key[1]]))
        if len(there):
            draws = np.random.default_rng(0).random((HALVES, len(there))) < 0.5
            zoos = [there[draw] for draw in draws if draw.any()] or [there]
            for zoo in zoos:
                found[key][_choice(evidence, key, zoo, SHORTLIST, shortlist, weights)[0]] += 1 / len(zoos)
    return found


def outcomes(evidence: Evidence, weights: tuple[float, float] = WEIGHTS) -> Outcomes:
    """Every finished cell as a row to learn an expectation from; targets are numbered as in the table."""
    score = weights[0] * similarity(evidence, 'kl') + weights[1] * size_scores(
        [item.images for item in evidence.candidates]
    )
    accuracy = evidence.table.accuracy.transpose(0, 2, 1)
    target, seed, source = np.nonzero(~np.isnan(accuracy) & ~np.isnan(score))
    place = target, seed, source
    return Outcomes(
        weight=chances(evidence, weights)[place],
        target=target,
        probe=evidence.measures['probe'][place],
        images=evidence.images[target],
        score=score[place],
        accuracy=accuracy[place],
        held=evidence.held[target],
        seed=seed,
        source=source,
    )


def foretold(evidence: Evidence, few: Floats, count: int) -> list[Floats]:
    """Of the first `count` of each shortlist (`few`, scores) the expected accuracy, learned without the target; nothing where
    too few other targets are recorded."""
    rows = outcomes(evidence)
    if len(evidence.table.targets) <= LEAST_TARGETS:
        return []
    scores = np.full(few.shape, np.nan)
    for target in np.unique(rows.target):
        forecaster = learn(chosen_rows(rows, rows.target != target))
        for row in np.flatnonzero(rows.target == target):
            key = target, rows.seed[row], rows.source[row]
            if few[key] > -count:  # what was not probed stands behind, NaN where the seed was not run whole
                scores[key] = forecaster.expect(rows.probe[row], rows.images[row], rows.score[row]).middle
    return [scores]


def exhaustive(evidence: Evidence) -> Floats:
    """Seconds of finetuning every source once, from its linear head, (targets,)."""
    return _cost(evidence, 'features', 'probe', 'finetune')


def _always(evidence: Evidence, name: str) -> Floats:
    return np.tile(
        [1.0 if source == name else 0.0 for source in evidence.table.sources],
        (len(evidence.table.targets), 1),
    )


def _cost(evidence: Evidence, *steps: str) -> Floats:
    """Seconds of these steps for all sources together, mean over the seeds that were run whole: (targets,)."""
    whole = np.sum([evidence.seconds[step] for step in steps], axis=0).sum(2)
    return _mean(np.where(evidence.complete, whole, np.nan))


def _mean(values: Floats) -> Floats:
    """Over the seeds (targets, seeds) that are there."""
    seen = ~np.isnan(values)
    return np.asarray(np.where(seen, values, 0.0).sum(1) / np.maximum(seen.sum(1), 1))


def _where_complete(evidence: Evidence, scores: Floats) -> Floats:
    """Scores of the seeds in which every source was run; another seed's scores would leave some out."""
    by_seed = np.repeat(scores[:, None], evidence.complete.shape[1], axis=1) if scores.ndim == 2 else scores
    return np.where(evidence.complete[:, :, None], by_seed, np.nan)
