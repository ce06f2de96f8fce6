"""Run the benchmark of source selection: finetune every source on every target, so that selection rules can
be compared.
"""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from django.conf import settings

from recognition.celery import RUN_BENCHMARK_CELL, app
from recognition.errors import InvalidInputError
from recognition.zoo import catalog
from recognition.zoo.subprocess_call import CHILD_ENVIRONMENT
from transfer.spec.train_spec import SourceModelSpec

MINIMUMS = {
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
    """The options of one benchmark."""

    targets: Path  # a folder of targets, each a folder of class folders
    out: Path  # where cells and result are kept; an interrupted benchmark is resumed
    per_class: int = 50  # train images of a class, at most
    seeds: int = 3
    first_seed: int = 0
    sources: tuple[str, ...] = ()  # names; empty: every source that everyone's trainings may use
    side: int = 0  # input side of every source in pixels; 0: each one's own
    plan: str = 'several'
    epochs: int = 0  # of each finetuning; 0: the product's schedule
    device: str = 'auto'
    processes: int = 1
    threads: int = 0  # of each process; 0: torch's default
    workers: int = 0  # Celery workers that are asked to run cells too; they must reach `targets` and `out`


@dataclass(frozen=True)
class FinishedCell:
    """One source was finetuned on one target with one seed, or had been before."""

    cell: str
    done: int  # cells
    total: int
    seconds_left: int | None


def run_benchmark(request: BenchmarkRequest) -> Iterator[FinishedCell]:
    """Run a benchmark cell by cell. Cells that the folder holds already are not run again.

    Errors: InvalidInputError (the targets, a source, the folder of another benchmark); NotReadyError without
    a reference model.
    """
    message = json.dumps(_build_request(request))
    with ExitStack() as stack:
        stack.enter_context(_ask_workers(request, message))
        others = [
            stack.enter_context(_start_child(message, subprocess.DEVNULL))
            for _ in range(request.processes - 1)
        ]
        first = stack.enter_context(_start_child(message, subprocess.PIPE))
        try:
            yield from _read_steps(first)
        finally:
            for child in [first, *others]:
                if sys.exc_info()[0] is not None:
                    child.terminate()


@contextmanager
def _ask_workers(request: BenchmarkRequest, message: str) -> Iterator[None]:
    """Ask Celery workers to run cells; they find the request in a file for as long as the benchmark runs."""
    if not request.workers:
        yield
        return
    file = request.out.resolve() / 'request.json'
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(message)
    try:
        send_cell_messages(file, request.workers)
        yield
    finally:
        file.unlink(missing_ok=True)


def send_cell_messages(request: Path, workers: int) -> None:
    """Ask so many workers to fill a cell of the benchmark whose request is in that file
    (transfer/worker/tasks.py).
    """
    for _ in range(workers):
        app.send_task(RUN_BENCHMARK_CELL, (str(request),), queue=settings.TRAINING_QUEUE)


def _read_steps(child: subprocess.Popen[str]) -> Iterator[FinishedCell]:
    for line in child.stdout or ():
        answer = json.loads(line)
        if 'error' in answer:
            raise InvalidInputError(answer['error'])
        if 'finished' in answer:
            return
        yield FinishedCell(**answer)
    raise InvalidInputError(
        f'The benchmark stopped with exit code {child.wait()}; the same command resumes it.'
    )


def _start_child(message: str, stdout: int) -> subprocess.Popen[str]:
    """Start a process that runs cells with torch; it gets neither SECRET_KEY nor any of our passwords."""
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
    stdin: IO[str] | None = child.stdin
    if stdin is not None:
        stdin.write(message)
        stdin.close()
    return child


def _build_request(request: BenchmarkRequest) -> dict[str, object]:
    for name, minimum in MINIMUMS.items():
        if getattr(request, name) < minimum:
            raise InvalidInputError(f'{name} must be at least {minimum}.', field=name)
    if not request.targets.is_dir():
        raise InvalidInputError(f'There is no folder {request.targets}.', field='targets')
    setup_fields = ('per_class', 'seeds', 'first_seed', 'side', 'plan', 'epochs', 'device')
    setup = {'scale': 1.0} | {name: getattr(request, name) for name in setup_fields}
    return {
        'targets': str(request.targets.resolve()),
        'out': str(request.out.resolve()),
        'cache': str(Path(settings.LOCAL_CACHE) / 'benchmark'),
        'sources': [dataclasses.asdict(source) for source in _select_sources(request.sources)],
        'reference': dataclasses.asdict(catalog.get_reference()),
        'setup': setup,
        'threads': request.threads,
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
