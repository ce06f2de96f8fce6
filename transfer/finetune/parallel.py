"""Run independent training runs in parallel threads of one process.

Two runs with one thread each use two cores better than one run with two threads: ResNet-18 takes 0.7 of the
time, and a MobileNet takes longer with two threads than with one, for they wait for each other at every small
layer.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import torch

from transfer.runtime.device import use_threads
from transfer.spec.report import EpochMetrics

Result = TypeVar('Result')
# Called with the share that is done and the last finished epoch, if there is one.
ProgressCallback = Callable[[float, EpochMetrics | None], None]
POLL_SECONDS = 0.1  # between two looks at what the runs report


class HaltedError(Exception):
    """Another run failed, or the training was cancelled."""


def run_parallel(
    runs: Sequence[Callable[[ProgressCallback], Result]], workers: int, on_progress: ProgressCallback
) -> list[Result]:
    """Do all runs, at most `workers` at a time, and return their results in order.

    Each run gets a callback for its progress. `on_progress` is called in this thread alone, with the share of
    all runs and the epochs of the first. An error of a run, or one raised by `on_progress`, is raised here
    after the other runs have stopped at their next progress report.
    """
    if workers == 1 or len(runs) == 1:
        return [run(_scale_progress(on_progress, index, len(runs))) for index, run in enumerate(runs)]
    reports: queue.SimpleQueue[tuple[int, float, EpochMetrics | None]] = queue.SimpleQueue()
    halt = threading.Event()

    def make_callback(index: int) -> ProgressCallback:
        def report(done: float, point: EpochMetrics | None) -> None:
            if halt.is_set():
                raise HaltedError
            reports.put((index, done, point))

        return report

    threads_each = max(1, torch.get_num_threads() // workers)
    with (
        use_threads(torch.get_num_threads()),
        ThreadPoolExecutor(workers, 'finetuning', torch.set_num_threads, (threads_each,)) as pool,
    ):
        futures = [pool.submit(run, make_callback(index)) for index, run in enumerate(runs)]
        try:
            _forward_progress(futures, reports, on_progress)
        except BaseException:
            halt.set()
            for future in futures:
                future.cancel()
            raise
    return [future.result() for future in futures]


def _scale_progress(on_progress: ProgressCallback, index: int, count: int) -> ProgressCallback:
    return lambda done, point: on_progress((index + done) / count, point)


def _forward_progress(
    futures: Sequence[Future[Any]],
    reports: queue.SimpleQueue[tuple[int, float, EpochMetrics | None]],
    on_progress: ProgressCallback,
) -> None:
    """Until all have ended; raises the error of the one that failed first."""
    shares = [0.0] * len(futures)
    waiting: set[Future[Any]] = set(futures)
    while waiting:
        ended, waiting = wait(waiting, POLL_SECONDS, FIRST_EXCEPTION)
        while not reports.empty():
            index, shares[index], point = reports.get()
            on_progress(sum(shares) / len(shares), point if index == 0 else None)
        for future in ended:
            future.result()
