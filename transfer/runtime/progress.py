"""Report a training's progress, often enough to be a heartbeat, with the seconds left by the speed measured
in this run.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from transfer.spec.report import Progress, Report

# Share of a whole training that each phase takes, measured for 250 photos on two cores: for the bar and the
# first estimates.
SHARES = {
    'decode': 0.03,
    'reference': 0.06,
    'rank': 0.01,
    'instant': 0.08,
    'probe': 0.12,
    'finetune': 0.6,
    'evaluate': 0.02,
    'seal': 0.08,
}
REPORT_EVERY = 0.5  # seconds between two reports: each also asks whether the job was cancelled


class ProgressTracker:
    """The phases of a training.

    `update` may be called at any rate; it raises JobCancelledError when the report does.
    """

    def __init__(self, report: Report, shares: dict[str, float] | None = None) -> None:
        self.seconds: dict[str, float] = {}  # by phase
        self._report = report
        chosen = shares or SHARES
        self._shares = {name: share / sum(chosen.values()) for name, share in chosen.items()}
        self._started_at = time.monotonic()
        self._phase, self._phase_started_at, self._reported_at = '', self._started_at, 0.0
        self._last = Progress('decode', 0.0)
        self._forecast = ''

    @contextmanager
    def phase(self, name: str, message: str) -> Iterator[None]:
        """Time a phase; a phase entered twice (the pixels of a second source) adds up."""
        outer, outer_started_at = self._phase, self._phase_started_at
        self._phase, self._phase_started_at = name, time.monotonic()
        self.update(0.0, message, force=True)
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - self._phase_started_at
            self._phase, self._phase_started_at = outer, outer_started_at

    def set_forecast(self, sentence: str) -> None:
        """Show this sentence, the accuracy to expect, with every report from now on."""
        self._forecast = sentence

    def update(
        self,
        done: float,
        message: str | None = None,
        *,
        epoch: int | None = None,
        epochs: int | None = None,
        loss: float | None = None,
        accuracy: float | None = None,
        force: bool = False,
    ) -> None:
        """`done`: share of this phase, 0 to 1. What is not given stays as last reported within the phase."""
        now = time.monotonic()
        if not force and now - self._reported_at < REPORT_EVERY:
            return
        last = self._last if self._last.phase == self._phase else Progress(self._phase, 0.0)
        fraction, left = self._estimate(min(1.0, max(0.0, done)), now)
        self._last = Progress(
            self._phase,
            max(fraction, self._last.fraction),
            last.message if message is None else message,
            last.epoch if epoch is None else epoch,
            last.epochs if epochs is None else epochs,
            last.loss if loss is None else loss,
            last.accuracy if accuracy is None else accuracy,
            left,
            self._forecast,
        )
        self._reported_at = now
        self._report.progress(self._last)

    def _estimate(self, done: float, now: float) -> tuple[float, float | None]:
        """(share of the whole training, seconds left): this phase by its own speed, later ones by the speed
        so far.
        """
        names = list(self._shares)
        index = names.index(self._phase)
        before = sum(self._shares[name] for name in names[:index])
        later = sum(self._shares[name] for name in names[index + 1 :])
        share = self._shares[self._phase]
        fraction = before + share * done
        if fraction < 0.02:
            return fraction, None
        # Seconds of the whole training by the speed so far.
        speed = (now - self._started_at) / fraction
        if done > 0.05:
            left = (now - self._phase_started_at) * (1 - done) / done
        else:
            left = share * (1 - done) * speed
        return fraction, round(left + later * speed, 1)
