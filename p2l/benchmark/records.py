"""Read what a benchmark of source selection recorded: accuracies, what was known before finetuning, and what
it cost.

`manage.py zoo benchmark` fills a folder: setup.json; cells/*.json, one finetuning of a source on a target
with a seed; and class_means/*.json, one pass of the reference network over the images of a target and seed
(transfer.selection.benchmark). Folders of earlier versions, which had other names, are read too.
"""

from __future__ import annotations

import functools
import json
import operator
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from p2l.benchmark.metrics import AccuracyTable
from p2l.ranking import SourceProfile
from p2l.signatures import ClassMeans, Floats

CLASS_MEANS = 'class_means'
EARLIER_CLASS_MEANS = 'looks'  # the folder, and the key of setup.json
EARLIER_CELL_KEYS = {
    'images': 'train_images',
    'held': 'test_images',
    'right': 'correct',
    'probe_right': 'probe_correct',
}
EARLIER_STEPS = {'held': 'test_features', 'judge': 'evaluate'}
MEASURES = ('probe', 'logme', 'leep', 'knn', 'linear')

Json = dict[str, Any]
Place = tuple[int, int, int]  # numbers of target, seed and source


@dataclass(frozen=True)
class BenchmarkRecord:
    """A benchmark as arrays of (targets, seeds, sources), NaN where a cell is missing."""

    table: AccuracyTable
    setup: Mapping[str, Any]
    sources: tuple[SourceProfile, ...]
    parameters: Floats  # (sources,)
    # (sources,) multiply-adds of an image where they decide, on a CPU; 0: they do not, or were not recorded.
    macs: Floats
    classes: Floats  # (targets,)
    train_images: Floats  # (targets,)
    test_images: Floats  # (targets,)
    means: Mapping[tuple[int, int], Floats]  # (target, seed) -> mean feature of the training images, (d,)
    class_means: Mapping[tuple[int, int], ClassMeans]  # of the same
    reference_seconds: Floats  # (targets, seeds): what the pass of the reference took
    measures: Mapping[str, Floats]  # MEASURES
    probe_correct: Mapping[Place, NDArray[np.bool_]]  # which training images the out-of-fold probe got right
    seconds: Mapping[str, Floats]  # step -> seconds

    @property
    def complete(self) -> NDArray[np.bool_]:
        """(targets, seeds): every source was run, so that baselines can be compared there."""
        return np.asarray(~np.isnan(self.table.accuracy).any(1))


def read_record(folder: Path) -> BenchmarkRecord:
    """Read the folder that `zoo benchmark` filled. ValueError where it holds too little to compare
    anything."""
    path = folder / 'setup.json'
    if not path.is_file():
        raise ValueError(f'{folder} holds no evaluation.')
    setup = json.loads(path.read_text())
    cells = [_read_cell(file) for file in sorted((folder / 'cells').glob('*.json'))]
    files = [*(folder / EARLIER_CLASS_MEANS).glob('*.json'), *(folder / CLASS_MEANS).glob('*.json')]
    passes = [json.loads(file.read_text()) for file in sorted(files, key=lambda file: file.name)]
    return _build_record(setup, _Cells.select_complete(cells), passes)


def _read_cell(file: Path) -> Json:
    cell = {EARLIER_CELL_KEYS.get(key, key): value for key, value in json.loads(file.read_text()).items()}
    return cell | {'seconds': {EARLIER_STEPS.get(step, step): s for step, s in cell['seconds'].items()}}


def select_with_signature(record: BenchmarkRecord) -> BenchmarkRecord | None:
    """Keep the sources that have a signature, where alone divergences tell anything; None where all have one,
    or one has."""
    chosen = [index for index, source in enumerate(record.sources) if source.signature is not None]
    if not 2 <= len(chosen) < len(record.sources):
        return None
    table = record.table
    names = tuple(table.sources[index] for index in chosen)
    correct = record.probe_correct.items()
    return replace(
        record,
        # Without the paired errors: they are of the difference to the best of all sources, which may be none
        # of these.
        table=AccuracyTable(table.targets, names, table.accuracy[:, chosen]),
        sources=tuple(record.sources[index] for index in chosen),
        parameters=record.parameters[chosen],
        macs=record.macs[chosen],
        measures={name: values[..., chosen] for name, values in record.measures.items()},
        probe_correct={(t, r, chosen.index(s)): hits for (t, r, s), hits in correct if s in chosen},
        seconds={name: values[..., chosen] for name, values in record.seconds.items()},
    )


@dataclass(frozen=True)
class _Cells:
    """The cells of every target that was run with every source at least with one seed, by their places."""

    targets: tuple[str, ...]
    seeds: tuple[int, ...]
    sources: tuple[str, ...]
    cells: Mapping[Place, Json]

    @staticmethod
    def select_complete(cells: list[Json]) -> _Cells:
        """ValueError where there is no such target, or only one source."""
        sources = tuple(sorted({cell['source'] for cell in cells}))
        counts = Counter((cell['target'], cell['seed']) for cell in cells)
        # A target that a running benchmark has only started cannot be compared yet.
        targets = tuple(sorted({name for (name, _), count in counts.items() if count == len(sources)}))
        if not targets or len(sources) < 2:
            raise ValueError('No target has been tried with every source yet, of at least two.')
        chosen = [cell for cell in cells if cell['target'] in targets]
        seeds = tuple(sorted({cell['seed'] for cell in chosen}))
        places = {
            (targets.index(cell['target']), seeds.index(cell['seed']), sources.index(cell['source'])): cell
            for cell in chosen
        }
        return _Cells(targets, seeds, sources, places)

    def array(self, *keys: str) -> Floats:
        """(targets, seeds, sources) of the number under these nested keys of each cell; NaN where there is no
        cell."""
        values = np.full((len(self.targets), len(self.seeds), len(self.sources)), np.nan)
        for place, cell in self.cells.items():
            values[place] = functools.reduce(operator.getitem, keys, cell)
        return values

    def of_sources(self, name: str, default: float | None = None) -> Floats:
        """(sources,) of a fact that all cells of a source share. `default`: for cells that are older than the
        fact."""
        return self._collect_fact(2, len(self.sources), name, default)

    def of_targets(self, name: str) -> Floats:
        """(targets,) of a fact that all cells of a target share."""
        return self._collect_fact(0, len(self.targets), name, None)

    def _collect_fact(self, axis: int, count: int, name: str, default: float | None) -> Floats:
        first: list[Json] = [
            next(cell for place, cell in self.cells.items() if place[axis] == index) for index in range(count)
        ]
        return np.array([float(cell[name] if default is None else cell.get(name, default)) for cell in first])


def _build_record(setup: Json, cells: _Cells, passes: list[Json]) -> BenchmarkRecord:
    accuracy = _drop_partial_seeds(cells.array('accuracy'))
    table = AccuracyTable(
        cells.targets, cells.sources, accuracy.transpose(0, 2, 1), _paired_errors(accuracy, cells)
    )
    parameters = cells.of_sources('parameters')
    class_means: Json = setup.get(CLASS_MEANS) or setup.get(EARLIER_CLASS_MEANS) or {}
    # The pass comes before the first cell of its seed: a run that was broken off in between leaves one
    # without any.
    reference = {
        (cells.targets.index(each['target']), cells.seeds.index(each['seed'])): each
        for each in passes
        if each['target'] in cells.targets and each['seed'] in cells.seeds
    }
    reference_seconds = np.full(accuracy.shape[:2], np.nan)
    for key, each in reference.items():
        reference_seconds[key] = each['seconds']
    return BenchmarkRecord(
        table=table,
        setup=setup['setup'],
        sources=tuple(
            _read_profile(setup['sources'][name], class_means.get(name), parameters[index])
            for index, name in enumerate(cells.sources)
        ),
        parameters=parameters,
        macs=cells.of_sources('macs', default=0),
        classes=cells.of_targets('classes'),
        train_images=cells.of_targets('train_images'),
        test_images=cells.of_targets('test_images'),
        means={key: np.array(each['mean']) for key, each in reference.items()},
        class_means={
            key: _read_class_means(each['class_means'], each['class_images'])
            for key, each in reference.items()
        },
        reference_seconds=reference_seconds,
        measures={name: cells.array(name) for name in MEASURES},
        probe_correct={place: _parse_bits(cell['probe_correct']) for place, cell in cells.cells.items()},
        seconds={
            step: cells.array('seconds', step)
            for step in sorted({step for cell in cells.cells.values() for step in cell['seconds']})
        },
    )


def _paired_errors(accuracy: Floats, cells: _Cells) -> Floats:
    """(targets, sources): the standard error of the best source's accuracy less this one's (McNemar).

    By the held-out images that only one of the two got right, over the seeds that both were run with.
    """
    correct = {place: _parse_bits(cell['correct']) for place, cell in cells.cells.items()}
    best = np.nanmean(accuracy, 1).argmax(1)
    errors = np.zeros((accuracy.shape[0], accuracy.shape[2]))
    for target, source in np.ndindex(*errors.shape):
        pairs = [
            ((target, seed, int(best[target])), (target, seed, source)) for seed in range(accuracy.shape[1])
        ]
        both = [(correct[one], correct[other]) for one, other in pairs if one in correct and other in correct]
        differing = sum(int((one ^ other).sum()) for one, other in both)
        errors[target, source] = np.sqrt(differing) / max(1, sum(len(one) for one, _ in both))
    return errors


def _drop_partial_seeds(accuracy: Floats) -> Floats:
    """(targets, seeds, sources) without the seeds that not every source was run with, where another seed is
    complete.

    A seed draws its own images, so means over different seeds do not compare.
    """
    result = accuracy.copy()
    for target in result:
        partial = np.asarray(np.isnan(target).any(1))
        if not partial.all():
            target[partial] = np.nan
    return result


def _parse_bits(text: str) -> NDArray[np.bool_]:
    """'0110' as bool (4,)."""
    return np.asarray(np.array(list(text)) == '1')


def _read_profile(source: Json, class_means: Json | None, parameters: float) -> SourceProfile:
    return SourceProfile(
        name=source['name'],
        images=source['images'],
        signature=source['signature'] or None,
        dataset=source['dataset'],
        parameters=int(parameters),
        class_means=_read_class_means(class_means['means'], class_means['images']) if class_means else None,
    )


def _read_class_means(means: list[list[float]], images: list[float]) -> ClassMeans:
    return ClassMeans(np.array(means), np.array(images, dtype=float))
