"""`manage.py zoo evaluate` on a terminal."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, TextIO

from recognition import evidence


def describe(parser: ArgumentParser) -> None:
    parser.add_argument('targets', type=Path, help='a folder of targets, each a folder with a sub-folder for each class')
    parser.add_argument('--out', type=Path, required=True, help='a folder for the cells and the result; begun before, it goes on')
    parser.add_argument('--per-class', type=int, default=50, help='images of a class to learn from (default: 50)')
    parser.add_argument('--seeds', type=int, default=3, help='how often each cell is repeated (default: 3)')
    parser.add_argument('--sources', default='', help='names separated by commas (default: every usable source)')
    parser.add_argument('--side', type=int, default=0, help="input side of all in pixels (default: each source's own)")
    parser.add_argument('--plan', default='several', choices=['last', 'several', 'all'], help='which layers learn')
    parser.add_argument('--device', default='auto', choices=['auto', 'cpu', 'cuda'])
    parser.add_argument('--processes', type=int, default=1, help='that share the cells')
    parser.add_argument('--threads', type=int, default=0, help='of each process')


def evaluate(options: dict[str, Any], stream: TextIO) -> str:
    names = tuple(name.strip() for name in options['sources'].split(',') if name.strip())
    fields = ('targets', 'out', 'per_class', 'seeds', 'side', 'plan', 'device', 'processes', 'threads')
    wanted = evidence.Wanted(**{name: options[name] for name in fields}, sources=names)
    for step in evidence.fill(wanted):
        stream.write(f'{step.through} of {step.of}  {step.cell}{_left(step.seconds_left)}\n')
        stream.flush()
    return f'The matrix in {wanted.out} is full'


def _left(seconds: int | None) -> str:
    if seconds is None:
        return '  (was there)'
    return f'  {seconds // 3600} h {seconds // 60 % 60:02} min left' if seconds >= 60 else f'  {seconds} s left'
