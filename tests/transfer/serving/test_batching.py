"""Requests that wait together are computed together; one alone never waits."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from transfer.serving.batching import GreedyBatches
from transfer.spec.errors import OverloadedError

PATIENCE = 20  # seconds after which a test gives up on a thread


class SlowNetwork:
    """Doubles its input; every batch waits until the test lets it go."""

    def __init__(self) -> None:
        self.sizes: list[int] = []
        self.started = threading.Semaphore(0)
        self.go = threading.Semaphore(0)

    def __call__(self, images: np.ndarray) -> np.ndarray:
        self.sizes.append(len(images))
        self.started.release()
        assert self.go.acquire(timeout=PATIENCE)
        return images * 2


def row(value: float, count: int = 1) -> np.ndarray:
    return np.full((count, 1), value)


def wait_for_queue(batches: GreedyBatches, images: int) -> None:
    """Until so many images wait: a state that nothing announces."""
    done = threading.Event()
    for _ in range(PATIENCE * 1000):
        if batches._queued == images:
            return
        done.wait(0.001)
    raise AssertionError(f'{batches._queued} images wait, not {images}')


@pytest.fixture
def threads():
    with ThreadPoolExecutor(16) as pool:
        yield pool


def test_one_alone_is_computed_in_its_own_thread():
    seen = []
    batches = GreedyBatches(lambda images: seen.append(threading.get_ident()) or images, concurrency=1)
    np.testing.assert_array_equal(batches.submit(row(3)), row(3))
    assert seen == [threading.get_ident()]


def test_what_waits_is_computed_at_once_and_everyone_gets_their_own_rows(threads):
    network = SlowNetwork()
    batches = GreedyBatches(network, concurrency=1, largest=8)
    first = threads.submit(batches.submit, row(0))
    assert network.started.acquire(timeout=PATIENCE)
    others = [threads.submit(batches.submit, row(value, count)) for value, count in ((1, 1), (2, 3), (3, 2))]
    wait_for_queue(batches, 6)
    network.go.release(2)
    np.testing.assert_array_equal(first.result(PATIENCE), row(0))
    for future, expected in zip(others, (row(2), row(4, 3), row(6, 2)), strict=True):
        np.testing.assert_array_equal(future.result(PATIENCE), expected)
    assert network.sizes == [1, 6]


def test_a_batch_is_never_larger_than_allowed_unless_one_request_is(threads):
    network = SlowNetwork()
    batches = GreedyBatches(network, concurrency=1, largest=4)
    futures = [threads.submit(batches.submit, row(0))]
    assert network.started.acquire(timeout=PATIENCE)
    for max_queued, count in ((3, 3), (5, 2), (11, 6)):
        futures.append(threads.submit(batches.submit, row(1, count)))
        wait_for_queue(batches, max_queued)
    network.go.release(4)
    for future in futures:
        future.result(PATIENCE)
    assert network.sizes == [1, 3, 2, 6]


def test_two_lanes_compute_side_by_side(threads):
    network = SlowNetwork()
    batches = GreedyBatches(network, concurrency=2)
    futures = [threads.submit(batches.submit, row(value)) for value in range(2)]
    assert network.started.acquire(timeout=PATIENCE)
    assert network.started.acquire(timeout=PATIENCE)
    network.go.release(2)
    assert sorted(float(future.result(PATIENCE)[0, 0]) for future in futures) == [0, 2]


def test_too_many_waiting_are_refused_and_the_others_are_served(threads):
    network = SlowNetwork()
    batches = GreedyBatches(network, concurrency=1, max_queued=2)
    first = threads.submit(batches.submit, row(1))
    assert network.started.acquire(timeout=PATIENCE)
    second = threads.submit(batches.submit, row(2, 2))
    wait_for_queue(batches, 2)
    with pytest.raises(OverloadedError):
        batches.submit(row(3))
    network.go.release(2)
    assert float(first.result(PATIENCE)[0, 0]) == 2
    assert float(second.result(PATIENCE)[0, 0]) == 4


def test_a_failing_batch_fails_for_all_in_it_and_the_next_is_computed(threads):
    gate, started = threading.Event(), threading.Event()

    def compute(images):
        started.set()
        assert gate.wait(PATIENCE)
        if (images == 13).any():
            raise MemoryError('thirteen')
        return images

    batches = GreedyBatches(compute, concurrency=1, largest=2)
    good = threads.submit(batches.submit, row(1))
    assert started.wait(PATIENCE)
    bad = []
    for value in (13, 14):
        bad.append(threads.submit(batches.submit, row(value)))
        wait_for_queue(batches, len(bad))
    last = threads.submit(batches.submit, row(2))
    wait_for_queue(batches, 3)
    gate.set()
    assert float(good.result(PATIENCE)[0, 0]) == 1
    for future in bad:
        with pytest.raises(MemoryError):
            future.result(PATIENCE)
    assert float(last.result(PATIENCE)[0, 0]) == 2


def test_many_threads_get_their_own_answers(threads):
    batches = GreedyBatches(lambda images: images * 2, concurrency=2)

    def ask(value: int) -> bool:
        return all(
            float(batches.submit(row(value * 1000 + turn))[0, 0]) == 2 * (value * 1000 + turn)
            for turn in range(200)
        )

    assert all(threads.map(ask, range(16)))
    assert (batches._free, batches._queued) == (2, 0)
