"""A training's progress on a terminal."""

from __future__ import annotations

from typing import TextIO

from transfer.spec import Progress

WIDTH = 24  # characters of the bar


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


def line(progress: Progress) -> str:
    full = round(WIDTH * progress.fraction)
    parts = [f'[{"#" * full}{"." * (WIDTH - full)}] {progress.fraction:4.0%} {progress.phase}']
    if progress.epochs:
        parts.append(f'epoch {progress.epoch} of {progress.epochs}')
    if progress.accuracy is not None:
        parts.append(f'accuracy {progress.accuracy:.1%}')
    if progress.seconds_left is not None:
        parts.append(f'{progress.seconds_left:.0f} s left')
    return ', '.join(parts)
