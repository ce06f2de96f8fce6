"""Show the progress of a training or a download on a terminal."""

from __future__ import annotations

import time
from typing import TextIO

from transfer.spec.report import Progress

WIDTH = 24  # characters of the bar
REDRAW_SECONDS = 0.2  # at most one drawing of a line in this time


class ProgressBar:
    """One line that is redrawn on a terminal; elsewhere, as in a log, one line for each phase."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.is_terminal = stream.isatty()
        self.phase = ''

    def __call__(self, progress: Progress) -> None:
        if self.is_terminal:
            self.stream.write(f'\r\x1b[K{format_progress(progress)}')
        elif progress.phase != self.phase:
            self.stream.write(f'{progress.fraction:4.0%} {progress.phase}: {progress.message}\n')
        self.phase = progress.phase
        self.stream.flush()

    def close(self) -> None:
        if self.is_terminal and self.phase:
            self.stream.write('\n')


class DownloadProgress:
    """One line that is redrawn on a terminal; elsewhere nothing."""

    def __init__(self, stream: TextIO, name: str) -> None:
        self.stream, self.name = stream, name
        self.is_terminal = stream.isatty()
        # Time and bytes at the first call: what an earlier download left is not counted in the speed.
        self.first: tuple[float, int] | None = None
        self.drawn_at = 0.0

    def __call__(self, received: int, total: int) -> None:
        """Bytes received, and in all (0: not known)."""
        now = time.monotonic()
        self.first = self.first or (now, received)
        is_complete = 0 < total <= received
        if self.is_terminal and (now - self.drawn_at >= REDRAW_SECONDS or is_complete):
            self.drawn_at = now
            seconds_left = self._estimate_seconds_left(received, total)
            self.stream.write(f'\r\x1b[K{format_download(self.name, received, total, seconds_left)}')
            self.stream.flush()

    def close(self) -> None:
        if self.drawn_at:
            self.stream.write('\n')

    def _estimate_seconds_left(self, received: int, total: int) -> float | None:
        start, before = self.first or (0.0, 0)
        spent = time.monotonic() - start
        return spent / (received - before) * (total - received) if spent > 1 and received > before else None


def format_download(name: str, received: int, total: int, seconds_left: float | None = None) -> str:
    done = f'{received / 2**20:.0f}'
    if not total:
        return f'{name}: {done} MiB'
    left = f', {seconds_left:.0f} s left' if seconds_left is not None else ''
    fraction = received / total
    return f'{format_bar(fraction)} {fraction:4.0%} {name}: {done} of {total / 2**20:.0f} MiB{left}'


def format_bar(fraction: float) -> str:
    full = round(WIDTH * fraction)
    return f'[{"#" * full}{"." * (WIDTH - full)}]'


def format_progress(progress: Progress) -> str:
    parts = [f'{format_bar(progress.fraction)} {progress.fraction:4.0%} {progress.phase}']
    if progress.epochs:
        parts.append(f'epoch {progress.epoch} of {progress.epochs}')
    if progress.accuracy is not None:
        parts.append(f'accuracy {progress.accuracy:.1%}')
    if progress.seconds_left is not None:
        parts.append(f'{progress.seconds_left:.0f} s left')
    return ', '.join(parts)
