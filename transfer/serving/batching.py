"""Dynamic batching: requests that wait are computed together, but none waits for a batch to fill. No torch
here."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from transfer.spec.errors import OverloadedError


class _Ticket:
    """The images of one call; later its result, or the batch that its thread computes for itself and
    others."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images
        self.answer: np.ndarray | None = None
        self.error: BaseException | None = None
        self.batch: list[_Ticket] = []
        self.woken = threading.Event()


class GreedyBatches:
    """Calls of `submit` from many threads, answered by as few calls of `compute` as they allow.

    At most `concurrency` batches are computed at a time, each in the thread of one caller. A call that finds
    a free slot computes at once. Calls that arrive meanwhile are queued; when a batch ends, the first of the
    queue computes all that are queued, up to `largest` images, as the next one. So there is no timer, no
    thread to keep alive, and a single caller pays for nothing but a lock. With more than `max_queued` images
    in the queue a call is refused.
    """

    def __init__(
        self,
        compute: Callable[[np.ndarray], np.ndarray],
        *,
        concurrency: int,
        largest: int = 4,
        max_queued: int = 256,
    ) -> None:
        self._compute = compute
        self._free = concurrency
        self._largest = largest
        self._max_queued = max_queued
        self._queue: deque[_Ticket] = deque()
        self._queued = 0  # images in the queue
        self._lock = threading.Lock()

    def submit(self, images: np.ndarray) -> np.ndarray:
        """Images (n, ...) -> compute's rows for them (n, ...). Raises OverloadedError, or what `compute`
        raised for the batch."""
        ticket = _Ticket(images)
        with self._lock:
            if self._free:
                self._free -= 1
                ticket.batch = [ticket]
            elif self._queued + len(images) > self._max_queued:
                raise OverloadedError(f'{self._queued} images are waiting')
            else:
                self._queue.append(ticket)
                self._queued += len(images)
        if not ticket.batch:
            ticket.woken.wait()
        if ticket.batch:
            self._compute_batch(ticket.batch)
        if ticket.error is not None:
            raise ticket.error
        assert ticket.answer is not None
        return ticket.answer

    def _compute_batch(self, batch: list[_Ticket]) -> None:
        try:
            rows = self._compute(
                batch[0].images if len(batch) == 1 else np.concatenate([ticket.images for ticket in batch])
            )
            start = 0
            for ticket in batch:
                ticket.answer = rows[start : start + len(ticket.images)]
                start += len(ticket.images)
        except BaseException as error:
            for ticket in batch:
                ticket.error = error
        self._start_next()
        for ticket in batch[1:]:
            ticket.woken.set()

    def _start_next(self) -> None:
        with self._lock:
            if not self._queue:
                self._free += 1
                return
            leader = self._queue[0]
            leader.batch = self._dequeue_batch()
        leader.woken.set()

    def _dequeue_batch(self) -> list[_Ticket]:
        """The first ticket, however large, and those behind it that still fit."""
        batch = [self._queue.popleft()]
        size = len(batch[0].images)
        while self._queue and size + len(self._queue[0].images) <= self._largest:
            batch.append(self._queue.popleft())
            size += len(batch[-1].images)
        self._queued -= size
        return batch
