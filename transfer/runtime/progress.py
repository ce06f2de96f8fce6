"""How far a training is, told often enough to be a heartbeat, with the seconds left by the speed measured in this run."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from transfer.spec.report import Progress, Report

# Share of a whole training that each phase takes, measured for 250 photos on two cores; only for the bar and the first guess.
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
REPORT_EVERY = (
    0.5  # seconds between two reports: a report is also the question whether the job is still wanted
)


class ProgressTracker:
    """The way through the phases. `beat` may be called as often as one likes; it raises JobCancelledError when the report does."""

    def __init__(self, report: Report, shares: dict[str, float] | None = None) -> None:
        self.seconds: dict[str, float] = {}
        self._report = report
        chosen = shares or SHARES
        self._shares = {name: share / sum(chosen.values()) for name, share in chosen.items()}
        self._begun = time.monotonic()
        self._phase, self._phase_begun, self._told = '', self._begun, 0.0
        self._last = Progress('decode', 0.0)
        self._expected = ''

    @contextmanager
    def phase(self, name: str, message: str) -> Iterator[None]:
        """Time a phase; a phase met twice (the pixels of a second source) adds up."""
        outer, outer_begun = self._phase, self._phase_begun
        self._phase, self._phase_begun = name, time.monotonic()
        self.beat(0.0, message, force=True)
        try:
            yield
        finally:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.monotonic() - self._phase_begun
            self._phase, self._phase_begun = outer, outer_begun

    def expect(self, sentence: str) -> None:
        """What accuracy to expect: said with every word from now on."""
        self._expected = sentence

    def beat(
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
        """`done`: share of this phase, 0 to 1. What is not given stays as it was said last within the phase."""
        now = time.monotonic()
        if not force and now - self._told < REPORT_EVERY:
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
            self._expected,
        )
        self._told = now
        self._report.progress(self._last)

    def _estimate(self, done: float, now: float) -> tuple[float, float | None]:
        """(share of the whole, seconds left): this phase by its own speed, the later ones by the speed so far."""
        names = list(self._shares)
        place = names.index(self._phase)
        before, later = (
            sum(self._shares[name] for name in names[:place]),
            sum(self._shares[name] for name in names[place + 1 :]),
        )
        share = self._shares[self._phase]
        fraction = before + share * done
        if fraction < 0.02:
            return fraction, None
        speed = (now - self._begun) / fraction  # seconds for the whole, as it went so far
        own = (now - self._phase_begun) * (1 - done) / done if done > 0.05 else share * (1 - done) * speed
        return fraction, round(own + later * speed, 1)
