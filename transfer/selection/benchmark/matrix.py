"""Finetune every source on every target: `python -m transfer.selection.benchmark.matrix` reads a JSON
request, writes a JSON line a cell.

Request: targets (a folder), out (a folder), cache (a folder), sources (of SourceModelSpec), reference (one or
null), setup (per_class, seeds, first_seed, side, plan, scale, device, epochs); most (cells to make) and
threads may be left out. Each finished cell is a file of OUT/cells, written atomically: a run that was
interrupted goes on where it was, and several runs on one folder share the work (a cell is locked while a
process fills it). The last line holds `finished`, or `refused`: the reason.
"""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from threadpoolctl import threadpool_limits

from p2l.benchmark.records import CLASS_MEANS, EARLIER_CLASS_MEANS
from p2l.signatures import mean_feature, round_mean_feature
from transfer.data.cache import open_pixels
from transfer.features.extract import extract_features_uncached, last_layer
from transfer.features.network import Machine, Network
from transfer.runtime.atomic_write import write_json
from transfer.runtime.device import choose_device
from transfer.selection.benchmark.cell import BenchmarkSetup, run_cell
from transfer.selection.benchmark.targets import BenchmarkTarget, read_targets, split_target, take_rows
from transfer.selection.choose import choose_reference_rows
from transfer.spec.errors import TrainingError
from transfer.spec.records import to_json
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture
from transfer.zoo.signatures.class_means import read_class_means


@dataclass(frozen=True)
class Cell:
    """One cell to be filled."""

    target: BenchmarkTarget
    source: SourceModelSpec
    seed: int
    cells: Path

    @property
    def path(self) -> Path:
        return self.cells / f'{self.target.name}--{self.source.name}--{self.seed}.json'


@dataclass(frozen=True)
class BenchmarkContext:
    """What all cells share."""

    setup: BenchmarkSetup
    reference: SourceModelSpec | None
    machine: Machine
    out: Path


@dataclass(frozen=True)
class CellProgress:
    """The line that is written when a cell is there."""

    cell: str  # name of its file
    done: int
    total: int
    seconds_left: int | None  # None: the cell had been made before


def fill_matrix(request: dict[str, Any]) -> Iterator[CellProgress]:
    """Fill the cells that the folder lacks, at most `most` of them (0: all); yields a progress record for
    each.

    A cell that another process is filling is left to it, and checked at the end in case that process died.
    TrainingError: a target or a source cannot be used.
    """
    setup, out = BenchmarkSetup(**request['setup']), Path(request['out'])
    targets = read_targets(Path(request['targets']))
    sources = [_with_side(SourceModelSpec(**source), setup.side) for source in request['sources']]
    reference = SourceModelSpec(**request['reference']) if request['reference'] else None
    _record_setup(out, targets, sources, reference, setup)
    machine = Machine(
        choose_device(setup.device), 'auto', Path(request['cache']), lambda sentence: None, lambda done: None
    )
    context = BenchmarkContext(setup, reference, machine, out)
    cells = out / 'cells'
    seeds = range(setup.first_seed, setup.first_seed + setup.seeds)
    wanted = [Cell(target, source, seed, cells) for seed in seeds for target in targets for source in sources]
    counter, most, waiting = _CellCounter(len(wanted)), int(request.get('most', 0)) or len(wanted), []
    for cell in wanted:
        found = _fill_cell(cell, context, wait=False) if counter.made < most else None
        if found is None:
            waiting.append(cell)
        else:
            yield counter.describe(cell.path.name, made=found)
    for cell in waiting if counter.made < most else []:
        yield counter.describe(cell.path.name, made=bool(_fill_cell(cell, context, wait=True)))


def _fill_cell(cell: Cell, context: BenchmarkContext, wait: bool) -> bool | None:
    """True: filled now; False: it was there; None: another process is filling it."""
    if cell.path.exists():
        return False
    with _claim_cell(cell.path, wait) as is_ours:
        if not is_ours:
            return None
        if cell.path.exists():
            return False
        rows = split_target(cell.target.manifest, context.setup.per_class, cell.seed)
        if context.reference is not None:
            _record_target_means(
                cell.target, rows.train, context.reference, cell.seed, context.machine, context.out
            )
        outcome = run_cell(cell.target, rows, cell.source, cell.seed, context.setup, context.machine)
        write_json(cell.path, outcome, indent=1)
        return True


def _with_side(source: SourceModelSpec, side: int) -> SourceModelSpec:
    network = architecture(source.architecture)
    return (
        source
        if not side or network.fixed_side
        else dataclasses.replace(source, side=max(side, network.min_side))
    )


def _record_setup(
    out: Path,
    targets: tuple[BenchmarkTarget, ...],
    sources: list[SourceModelSpec],
    reference: SourceModelSpec | None,
    setup: BenchmarkSetup,
) -> None:
    """Record what is compared, or check that the folder was started with the same: cells of two setups are
    not comparable.
    """
    wanted = {
        'setup': dataclasses.asdict(setup) | {'seeds': 0, 'first_seed': 0},  # other seeds may be added later
        'reference': reference.digest if reference else '',
    }
    path = out / 'setup.json'
    known = json.loads(path.read_text()) if path.exists() else {}
    if EARLIER_CLASS_MEANS in known:
        known[CLASS_MEANS] = known.pop(EARLIER_CLASS_MEANS)
    if known:
        # Older ones had no choice.
        known['setup'] = {'epochs': 0, 'spares': False, 'first_seed': 0} | known['setup']
    if known and {key: known[key] for key in wanted} != wanted:
        raise TrainingError(f'{out} holds an evaluation with another setup; give another folder.')
    digest = reference.digest if reference else ''
    source_models = {source_model.name: _describe_source(source_model) for source_model in sources}
    facts: dict[str, dict[str, object]] = {
        target.name: {'digest': target.manifest.digest, 'labels': list(target.manifest.labels)}
        for target in targets
    }
    for name, old, new in [
        ('source', known.get('sources', {}), source_models),
        ('target', known.get('targets', {}), facts),
    ]:
        if changed := [key for key in new if key in old and old[key] != new[key]]:
            raise TrainingError(
                f'The {name} {changed[0]} has changed since the evaluation in {out} began; '
                'give another folder.'
            )
    class_means = {
        name: _source_class_means(source_model, digest)
        for name, source_model in zip(source_models, sources, strict=True)
    }
    merged = {
        CLASS_MEANS: known.get(CLASS_MEANS, {}) | class_means,
        'sources': known.get('sources', {}) | source_models,
        'targets': known.get('targets', {}) | facts,
    }
    write_json(path, wanted | merged, indent=1)


def _describe_source(source: SourceModelSpec) -> dict[str, object]:
    names = ('name', 'title', 'architecture', 'digest', 'dataset', 'images', 'classes', 'side')
    return {name: getattr(source, name) for name in names} | {'signature': list(source.signature)}


def _source_class_means(source: SourceModelSpec, reference: str) -> dict[str, object] | None:
    """The source's own images class by class, where they are known."""
    class_means = read_class_means(source, reference)
    return (
        {
            'means': [round_mean_feature(mean) for mean in class_means.means],
            'images': class_means.images.tolist(),
        }
        if class_means
        else None
    )


def _record_target_means(
    target: BenchmarkTarget,
    rows: np.ndarray,
    reference: SourceModelSpec,
    seed: int,
    machine: Machine,
    out: Path,
) -> None:
    """The target's mean feature under the reference, whole and by class: what every divergence is computed
    from.
    """
    name = f'{target.name}--{seed}.json'
    path = out / CLASS_MEANS / name
    if path.exists() or (out / EARLIER_CLASS_MEANS / name).exists():
        return
    every = np.array([target.manifest.images[row].label for row in rows])
    training = take_rows(target.manifest, rows[choose_reference_rows(every)])
    network = Network(reference, architecture(reference.architecture), load(reference))
    pixels = open_pixels(training, reference.side, machine.cache / 'pixels', machine.on_progress)
    extract_features_uncached(network, pixels, machine)  # warms up, and chooses the precision
    now = time.process_time if machine.device.type == 'cpu' else time.perf_counter
    start = now()
    features = np.maximum(last_layer(network, extract_features_uncached(network, pixels, machine)), 0)
    seconds = now() - start
    labels = np.array([image.label for image in training.images])
    means = [mean_feature(features[labels == label]) for label in range(len(training.labels))]
    values = {
        'target': target.name,
        'seed': seed,
        'seconds': round(seconds, 3),
        'mean': round_mean_feature(mean_feature(features)),
        'class_means': [round_mean_feature(mean) for mean in means],
        'class_images': np.bincount(labels).tolist(),
    }
    write_json(path, values, indent=1)


@contextmanager
def _claim_cell(path: Path, wait: bool) -> Iterator[bool]:
    """Lock a cell; yields whether this process is the one that fills it.

    The system releases the lock when its process dies.
    """
    folder = path.parent / 'locks'
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / hashlib.sha256(path.name.encode()).hexdigest()[:16]).open('w') as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True


class _CellCounter:
    """How many cells are done, and how long the others will take at the speed of this run."""

    def __init__(self, count: int) -> None:
        self.count, self.done, self.made, self.start = count, 0, 0, time.monotonic()

    def describe(self, name: str, made: bool) -> CellProgress:
        self.done += 1
        self.made += made
        seconds = (time.monotonic() - self.start) / max(1, self.made) * (self.count - self.done)
        return CellProgress(name, self.done, self.count, round(seconds) if made else None)


def main() -> None:
    request = json.load(sys.stdin)
    threads = int(request.get('threads', 0)) or torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        # NumPy's own threads: on a busy machine they spin, and the spinning counts as the rule's cost.
        with threadpool_limits(threads):
            for line in fill_matrix(request):
                sys.stdout.write(json.dumps(to_json(line)) + '\n')
                sys.stdout.flush()
        answer: dict[str, object] = {'finished': True}
    except TrainingError as error:
        answer = {'error': error.message}
    sys.stdout.write(json.dumps(answer) + '\n')


if __name__ == '__main__':
    main()
