"""Evidence for the choice of a source: every source finetuned on every target, and what each rule would have picked."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from django.conf import settings

from recognition.celery import RUN_BENCHMARK_CELL, app
from recognition.errors import InvalidInputError
from recognition.zoo import catalog
from recognition.zoo.subprocess_call import CHILD_ENVIRONMENT
from transfer.spec.train_spec import SourceModelSpec

LEAST = {
    'per_class': 1,
    'seeds': 1,
    'first_seed': 0,
    'side': 0,
    'epochs': 0,
    'processes': 1,
    'threads': 0,
    'workers': 0,
}


@dataclass(frozen=True)
class BenchmarkRequest:
    """One evaluation, as it is asked for."""

    targets: Path  # a folder of targets, each a folder of class folders
    out: Path  # where cells and result are kept; begun before, it is gone on with
    per_class: int = 50  # images to learn from
    seeds: int = 3
    first_seed: int = 0
    sources: tuple[str, ...] = ()  # names; empty: every source that trainings may use
    side: int = 0  # input side of every source in pixels; 0: each one's own
    plan: str = 'several'
    epochs: int = 0  # of each finetuning; 0: as many as the product's schedule takes
    device: str = 'auto'
    processes: int = 1
    threads: int = 0  # of each process; 0: as many as torch likes
    workers: int = 0  # of Celery's that are asked to share the cells; they must reach `targets` and `out`


@dataclass(frozen=True)
class FinishedCell:
    """A cell is through."""

    cell: str
    through: int
    of: int
    seconds_left: int | None


def run_benchmark(wanted: BenchmarkRequest) -> Iterator[FinishedCell]:
    """Fill the matrix of an evaluation cell by cell. What the folder holds already is not done again.

    Errors: InvalidInputError (the targets, a source, the folder of another evaluation); NotReadyError without a reference model.
    """
    request = json.dumps(_build_request(wanted))
    with ExitStack() as stack:
        stack.enter_context(_invite_workers(wanted, request))
        others = [
            stack.enter_context(_start_child(request, subprocess.DEVNULL))
            for _ in range(wanted.processes - 1)
        ]
        first = stack.enter_context(_start_child(request, subprocess.PIPE))
        try:
            yield from _read_steps(first)
        finally:
            for child in [first, *others]:
                if sys.exc_info()[0] is not None:
                    child.terminate()


@contextmanager
def _invite_workers(wanted: BenchmarkRequest, request: str) -> Iterator[None]:
    """Workers find the request in a file as long as the evaluation goes on."""
    if not wanted.workers:
        yield
        return
    file = wanted.out.resolve() / 'request.json'
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(request)
    try:
        send_cell_messages(file, wanted.workers)
        yield
    finally:
        file.unlink(missing_ok=True)


def send_cell_messages(request: Path, workers: int) -> None:
    """Ask so many workers to fill a cell of the benchmark whose request is in that file (transfer/worker/tasks.py)."""
    for _ in range(workers):
        app.send_task(RUN_BENCHMARK_CELL, (str(request),), queue=settings.TRAINING_QUEUE)


def _read_steps(child: subprocess.Popen[str]) -> Iterator[FinishedCell]:
    for line in child.stdout or ():
        told = json.loads(line)
        if 'refused' in told:
            raise InvalidInputError(told['refused'])
        if 'finished' in told:
            return
        yield FinishedCell(**told)
    raise InvalidInputError(
        f'The evaluation broke off with {child.wait()}; the same command goes on where it was.'
    )


def _start_child(request: str, stdout: int) -> subprocess.Popen[str]:
    """Torch runs in a process of its own; it gets neither SECRET_KEY nor any password of ours."""
    command = [sys.executable, '-m', 'transfer.selection.benchmark.matrix']
    child = subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=stdout,
        text=True,
        cwd=settings.BASE_DIR,
        env=CHILD_ENVIRONMENT,
        encoding='utf-8',
    )
    entrance: IO[str] | None = child.stdin
    if entrance is not None:
        entrance.write(request)
        entrance.close()
    return child


def _build_request(wanted: BenchmarkRequest) -> dict[str, Any]:
    for name, least in LEAST.items():
        if getattr(wanted, name) < least:
            raise InvalidInputError(f'{name} must be at least {least}.', field=name)
    if not wanted.targets.is_dir():
        raise InvalidInputError(f'There is no folder {wanted.targets}.', field='targets')
    of_setup = ('per_class', 'seeds', 'first_seed', 'side', 'plan', 'epochs', 'device')
    setup = {'scale': 1.0} | {name: getattr(wanted, name) for name in of_setup}
    return {
        'targets': str(wanted.targets.resolve()),
        'out': str(wanted.out.resolve()),
        'cache': str(Path(settings.LOCAL_CACHE) / 'evidence'),
        'sources': [dataclasses.asdict(source) for source in _select_sources(wanted.sources)],
        'reference': dataclasses.asdict(catalog.get_reference()),
        'setup': setup,
        'threads': wanted.threads,
    }


def _select_sources(names: tuple[str, ...]) -> tuple[SourceModelSpec, ...]:
    sources = {source.name: source for source in catalog.list_sources(None)}
    for name in names:
        if name not in sources:
            raise InvalidInputError(f'There is no usable source model {name!r}.', field='sources')
    if not sources:
        raise InvalidInputError(
            'The zoo is empty; `manage.py zoo sync` registers the starter zoo.', field='sources'
        )
    return tuple(sources[name] for name in names) if names else tuple(sources.values())
