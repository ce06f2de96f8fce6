"""Progress on a terminal: of a training, and of a download."""

from __future__ import annotations

import time
from typing import TextIO

from transfer.spec.report import Progress

WIDTH = 24  # characters of the bar
BETWEEN = 0.2  # seconds from one drawing of a line to the next


class ProgressBar:
    """A line that is written over on a terminal; elsewhere, as in a log, a line for each phase."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.drawn = stream.isatty()
        self.phase = ''

    def __call__(self, progress: Progress) -> None:
        if self.drawn:
            self.stream.write(f'\r\x1b[K{line(progress)}')
        elif progress.phase != self.phase:
            self.stream.write(f'{progress.fraction:4.0%} {progress.phase}: {progress.message}\n')
        self.phase = progress.phase
        self.stream.flush()

    def close(self) -> None:
        if self.drawn and self.phase:
            self.stream.write('\n')


class DownloadLine:
    """How far a download is, in a line that is written over on a terminal; elsewhere nothing."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self.stream, self.name = stream, name
        self.drawn = stream.isatty()
        self.begun: tuple[float, int] | None = (
            None  # when, and at how many bytes: what an earlier try left took no time
        )
        self.last = 0.0

    def __call__(self, fetched: int, total: int) -> None:
        """Bytes that are here, and in all (0: not known)."""
        now = time.monotonic()
        self.begun = self.begun or (now, fetched)
        whole = 0 < total <= fetched
        if self.drawn and (now - self.last >= BETWEEN or whole):
            self.last = now
            self.stream.write(
                f'\r\x1b[K{fetched_line(self.name, fetched, total, self._seconds_left(fetched, total))}'
            )
            self.stream.flush()

    def close(self) -> None:
        if self.last:
            self.stream.write('\n')

    def _seconds_left(self, fetched: int, total: int) -> float | None:
        start, had = self.begun or (0.0, 0)
        spent = time.monotonic() - start
        return spent / (fetched - had) * (total - fetched) if spent > 1 and fetched > had else None


def fetched_line(name: str, fetched: int, total: int, seconds_left: float | None = None) -> str:
    here = f'{fetched / 2**20:.0f}'
    if not total:
        return f'{name}: {here} MiB'
    left = f', {seconds_left:.0f} s left' if seconds_left is not None else ''
    return f'{bar(fetched / total)} {fetched / total:4.0%} {name}: {here} of {total / 2**20:.0f} MiB{left}'


def bar(fraction: float) -> str:
    full = round(WIDTH * fraction)
    return f'[{"#" * full}{"." * (WIDTH - full)}]'


def line(progress: Progress) -> str:
    parts = [f'{bar(progress.fraction)} {progress.fraction:4.0%} {progress.phase}']
    if progress.epochs:
        parts.append(f'epoch {progress.epoch} of {progress.epochs}')
    if progress.accuracy is not None:
        parts.append(f'accuracy {progress.accuracy:.1%}')
    if progress.seconds_left is not None:
        parts.append(f'{progress.seconds_left:.0f} s left')
    return ', '.join(parts)
