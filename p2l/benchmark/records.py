"""What an evaluation recorded, read from its folder: accuracies, what was known before, and what it cost."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2l.benchmark.metrics import Table
from p2l.ranking import Candidate
from p2l.signatures import Floats, Look

MEASURES = ('probe', 'logme', 'leep', 'knn', 'linear')


@dataclass(frozen=True)
class Evidence:
    """The record of an evaluation; arrays are (targets, seeds, sources), NaN where a cell is missing."""

    table: Table
    setup: Mapping[str, Any]
    candidates: tuple[Candidate, ...]
    parameters: Floats  # (sources,)
    macs: Floats  # (sources,) multiply-adds of an image where they decide, on a CPU; 0: they do not, or were not recorded
    classes: Floats  # (targets,)
    images: Floats  # (targets,) learned from
    held: Floats  # (targets,) judged on
    means: Mapping[tuple[int, int], Floats]  # (target, seed) -> the mean feature of the learned images, (d,)
    looks: Mapping[tuple[int, int], Look]
    reference_seconds: Floats  # (targets, seeds)
    measures: Mapping[str, Floats]  # MEASURES
    right: Mapping[
        tuple[int, int, int], NDArray[np.bool_]
    ]  # (target, seed, source) -> the probe's hits, image by image
    seconds: Mapping[str, Floats]  # step -> seconds

    @property
    def complete(self) -> NDArray[np.bool_]:
        """(targets, seeds): every source was run, so that rules can be compared there."""
        return np.asarray(~np.isnan(self.table.accuracy).any(1))


def read(folder: Path) -> Evidence:
    """The record in a folder that `zoo evaluate` filled. ValueError when it holds too little to compare anything."""
    path = folder / 'setup.json'
    if not path.is_file():
        raise ValueError(f'{folder} holds no evaluation.')
    setup = json.loads(path.read_text())
    cells = [json.loads(file.read_text()) for file in sorted((folder / 'cells').glob('*.json'))]
    looks = [json.loads(file.read_text()) for file in sorted((folder / 'looks').glob('*.json'))]
    return _lay_out(setup, cells, looks)


def signed_only(evidence: Evidence) -> Evidence | None:
    """The record of the sources that have a signature: what divergences can be judged by. None when all are, or one."""
    kept = [index for index, candidate in enumerate(evidence.candidates) if candidate.signature is not None]
    if not 2 <= len(kept) < len(evidence.candidates):
        return None
    table = evidence.table
    return replace(
        evidence,
        # The paired noise is against the best of all sources, which may be none of these.
        table=Table(table.targets, tuple(table.sources[index] for index in kept), table.accuracy[:, kept]),
        candidates=tuple(evidence.candidates[index] for index in kept),
        parameters=evidence.parameters[kept],
        macs=evidence.macs[kept],
        measures={name: values[..., kept] for name, values in evidence.measures.items()},
        right={(t, r, kept.index(s)): hits for (t, r, s), hits in evidence.right.items() if s in kept},
        seconds={name: values[..., kept] for name, values in evidence.seconds.items()},
    )


def _lay_out(setup: dict[str, Any], cells: list[dict[str, Any]], looks: list[dict[str, Any]]) -> Evidence:
    sources = tuple(sorted({cell['source'] for cell in cells}))
    counts = Counter((cell['target'], cell['seed']) for cell in cells)
    # A target that a running evaluation has only begun cannot be compared yet.
    targets = tuple(sorted({name for (name, _), count in counts.items() if count == len(sources)}))
    if not targets or len(sources) < 2:
        raise ValueError('No target has been tried with every source yet, of at least two.')
    kept = [cell for cell in cells if cell['target'] in targets]
    seeds = sorted({cell['seed'] for cell in kept})
    shape = (len(targets), len(seeds), len(sources))
    places = [
        (targets.index(cell['target']), seeds.index(cell['seed']), sources.index(cell['source']))
        for cell in kept
    ]
    accuracy = _whole_seeds(_array(shape, places, [cell['accuracy'] for cell in kept]))
    steps = sorted({step for cell in kept for step in cell['seconds']})
    # The look comes before the first cell of its seed: a run that was broken off in between leaves one without any.
    looks = [look for look in looks if look['target'] in targets and look['seed'] in seeds]
    seen = {(targets.index(look['target']), seeds.index(look['seed'])): look for look in looks}
    return Evidence(
        table=Table(targets, sources, accuracy.transpose(0, 2, 1), _paired_noise(accuracy, places, kept)),
        setup=setup['setup'],
        candidates=tuple(
            _candidate(
                setup['sources'][name],
                setup.get('looks', {}).get(name),
                _fact(kept, 'source', name, 'parameters'),
            )
            for name in sources
        ),
        parameters=np.array([_fact(kept, 'source', name, 'parameters') for name in sources]),
        macs=np.array([_fact(kept, 'source', name, 'macs', 0) for name in sources]),
        classes=np.array([_fact(kept, 'target', name, 'classes') for name in targets]),
        images=np.array([_fact(kept, 'target', name, 'images') for name in targets]),
        held=np.array([_fact(kept, 'target', name, 'held') for name in targets]),
        means={key: np.array(look['mean']) for key, look in seen.items()},
        looks={key: _look(look) for key, look in seen.items()},
        reference_seconds=_array(shape[:2], list(seen), [look['seconds'] for look in seen.values()]),
        measures={name: _array(shape, places, [cell[name] for cell in kept]) for name in MEASURES},
        right={place: _bits(cell['probe_right']) for place, cell in zip(places, kept, strict=True)},
        seconds={step: _array(shape, places, [cell['seconds'][step] for cell in kept]) for step in steps},
    )


def _bits(text: str) -> NDArray[np.bool_]:
    return np.asarray(np.array(list(text)) == '1')


def _paired_noise(accuracy: Floats, places: list[Any], cells: list[dict[str, Any]]) -> Floats:
    """(targets, sources): the standard error of the best source's accuracy less this one's, by the held-out images that only one
    of the two got right (McNemar), over the seeds that both were run with."""
    right = {place: _bits(cell['right']) for place, cell in zip(places, cells, strict=True)}
    best = np.nanmean(accuracy, 1).argmax(1)
    noise = np.zeros((accuracy.shape[0], accuracy.shape[2]))
    for target, source in np.ndindex(*noise.shape):
        pairs = [((target, seed, best[target]), (target, seed, source)) for seed in range(accuracy.shape[1])]
        both = [(right[one], right[other]) for one, other in pairs if one in right and other in right]
        differing = sum(int((one ^ other).sum()) for one, other in both)
        noise[target, source] = np.sqrt(differing) / max(1, sum(len(one) for one, _ in both))
    return noise


def _whole_seeds(accuracy: Floats) -> Floats:
    """(targets, seeds, sources) without the seeds that not every source was run with, where another was run whole: a seed draws
    its own images, so means over different seeds do not compare."""
    found = accuracy.copy()
    for target in found:
        broken = np.asarray(np.isnan(target).any(1))
        if not broken.all():
            target[broken] = np.nan
    return found


def _array(shape: tuple[int, ...], places: list[Any], values: list[float]) -> Floats:
    found = np.full(shape, np.nan)
    for place, value in zip(places, values, strict=True):
        found[place] = value
    return found


def _fact(cells: list[dict[str, Any]], kind: str, name: str, fact: str, unsaid: float | None = None) -> float:
    """`unsaid`: of cells that are older than the fact."""
    cell = next(cell for cell in cells if cell[kind] == name)
    return float(cell[fact] if unsaid is None else cell.get(fact, unsaid))


def _candidate(source: dict[str, Any], look: dict[str, Any] | None, parameters: float) -> Candidate:
    return Candidate(
        name=source['name'],
        images=source['images'],
        signature=source['signature'] or None,
        dataset=source['dataset'],
        parameters=int(parameters),
        look=Look(np.array(look['means']), np.array(look['images'], dtype=float)) if look else None,
    )


def _look(values: dict[str, Any]) -> Look:
    return Look(np.array(values['class_means']), np.array(values['class_images'], dtype=float))
