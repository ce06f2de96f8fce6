"""docs/options.md from the table of options; `python -m tests.support.options_document` writes it."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from transfer.spec.detectors import DETECTORS
from transfer.spec.options import Option
from transfer.spec.train_spec import OPTIONS

DOCUMENT = Path(__file__).resolve().parents[2] / 'docs' / 'options.md'
HEAD = """# Options of a training

What `POST /api/v1/projects/{id}/trainings`, `manage.py train --options` and the form take, with defaults and
limits. Each has a default, so none is needed. `python -m tests.support.options_document` writes this page
from `transfer/spec/train_spec.py` and the modules of the detectors beside it, where comments give the source
of each number.
"""


def render_document() -> str:
    parts = [HEAD, _render_table(option for option in OPTIONS.values() if option.kind != 'object')]
    for info in DETECTORS.values():
        parts.append(f'## {info.name}: `{info.field}`\n')
        parts.append(_render_table(OPTIONS[info.field].options.values()))
    return '\n'.join(parts)


def _render_table(options: Iterable[Option]) -> str:
    rows = [
        f'| `{option.name}` | {_render_default(option)} | {_render_limits(option)} | {_describe(option)} |'
        for option in options
    ]
    return '\n'.join(['| option | default | limits | |', '| --- | --- | --- | --- |', *rows, ''])


def _render_default(option: Option) -> str:
    default = option.default if isinstance(option.default, str) else json.dumps(option.default)
    return f'`{default}`'


def _render_limits(option: Option) -> str:
    if option.choices:
        return ', '.join(f'`{choice}`' for choice in option.choices)
    if option.low is None or option.high is None:
        return ''
    return f'{option.low:,} to {option.high:,}'


def _describe(option: Option) -> str:
    return f'{option.description} For {option.task} only.' if option.task else option.description


if __name__ == '__main__':
    DOCUMENT.write_text(render_document())
