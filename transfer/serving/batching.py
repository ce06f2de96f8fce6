"""Requests that wait together are computed together; none ever waits for company. No torch here."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable

import numpy as np

from transfer.spec.errors import OverloadedError


class _Ticket:
    """One caller's images, and later its answer, or the batch that it shall compute for itself and others."""

    def __init__(self, images: np.ndarray) -> None:
        self.images = images
        self.answer: np.ndarray | None = None
        self.error: BaseException | None = None
        self.batch: list[_Ticket] = []
        self.woken = threading.Event()


class GreedyBatches:
    """Calls of `submit` from many threads, answered by as few calls of `compute` as they allow.

    The caller that finds a free lane computes at once, in its own thread. Those who come meanwhile wait; who
    ends its batch hands the lane to the first of them, which takes all that wait (up to `largest` images) as
    its own batch. So there is no timer, no thread to keep alive, and a caller alone pays nothing but a lock.
    """

    def __init__(
        self, compute: Callable[[np.ndarray], np.ndarray], *, lanes: int, largest: int = 4, waiting: int = 256
    ) -> None:
        self._compute = compute
        self._free = lanes
        self._largest = largest
        self._most = waiting
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
            elif self._queued + len(images) > self._most:
                raise OverloadedError(f'{self._queued} images are waiting')
            else:
                self._queue.append(ticket)
                self._queued += len(images)
        if not ticket.batch:
            ticket.woken.wait()
        if ticket.batch:
            self._lead(ticket.batch)
        if ticket.error is not None:
            raise ticket.error
        assert ticket.answer is not None
        return ticket.answer

    def _lead(self, batch: list[_Ticket]) -> None:
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
        self._hand_on()
        for ticket in batch[1:]:
            ticket.woken.set()

    def _hand_on(self) -> None:
        with self._lock:
            if not self._queue:
                self._free += 1
                return
            leader = self._queue[0]
            leader.batch = self._take()
        leader.woken.set()

    def _take(self) -> list[_Ticket]:
        """The first ticket, however large, and those behind it that still fit."""
        batch = [self._queue.popleft()]
        size = len(batch[0].images)
        while self._queue and size + len(self._queue[0].images) <= self._largest:
            batch.append(self._queue.popleft())
            size += len(batch[-1].images)
        self._queued -= size
        return batch
