"""Runs that do not depend on each other, side by side on the cores of one processor.

Two runs with one thread each use two cores better than one run with two threads: ResNet-18 takes 0.7 of the time, and a MobileNet
takes longer with two threads than with one, for they wait for each other at every small layer.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from typing import Any, TypeVar

import torch

from transfer.runtime.device import use_threads

Result = TypeVar('Result')
ProgressCallback = Callable[[float, dict[str, Any]], None]  # share that is done, facts
POLL_SECONDS = 0.1  # seconds between two looks at what the runs tell


class HaltedError(Exception):
    """Another run failed, or nobody wants the result any more."""


def run_parallel(
    runs: Sequence[Callable[[ProgressCallback], Result]], lanes: int, beat: ProgressCallback
) -> list[Result]:
    """Do all runs, at most `lanes` at a time, and return their results in order.

    Each run gets a function to tell how far it is; `beat`, called in this thread alone, hears the share of all of them with
    the facts of the first. An error of a run, or one that `beat` raises, halts the others at their next word and is raised here.
    """
    if lanes == 1 or len(runs) == 1:
        return [run(_scale_progress(beat, place, len(runs))) for place, run in enumerate(runs)]
    told: queue.SimpleQueue[tuple[int, float, dict[str, Any]]] = queue.SimpleQueue()
    halt = threading.Event()

    def teller(place: int) -> ProgressCallback:
        def tell(done: float, facts: dict[str, Any]) -> None:
            if halt.is_set():
                raise HaltedError
            told.put((place, done, facts))

        return tell

    each = max(1, torch.get_num_threads() // lanes)
    with (
        use_threads(torch.get_num_threads()),
        ThreadPoolExecutor(lanes, 'finetuning', torch.set_num_threads, (each,)) as pool,
    ):
        futures = [pool.submit(run, teller(place)) for place, run in enumerate(runs)]
        try:
            _forward_progress(futures, told, beat)
        except BaseException:
            halt.set()
            for future in futures:
                future.cancel()
            raise
    return [future.result() for future in futures]


def _scale_progress(beat: ProgressCallback, place: int, count: int) -> ProgressCallback:
    return lambda done, facts: beat((place + done) / count, facts)


def _forward_progress(
    futures: Sequence[Future[Any]],
    told: queue.SimpleQueue[tuple[int, float, dict[str, Any]]],
    beat: ProgressCallback,
) -> None:
    """Until all have ended; the error of the one that failed first."""
    shares = [0.0] * len(futures)
    waiting: set[Future[Any]] = set(futures)
    while waiting:
        ended, waiting = wait(waiting, POLL_SECONDS, FIRST_EXCEPTION)
        while not told.empty():
            place, shares[place], facts = told.get()
            beat(sum(shares) / len(shares), facts if place == 0 else {})
        for future in ended:
            future.result()
