"""`manage.py zoo benchmark` and `zoo fit` on a terminal."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Any, TextIO

from recognition.zoo import benchmark, benchmark_results, selection_params
from recognition.zoo.selection_params import BenchmarkResult, RuleResult

COLUMNS = (
    'RULE',
    'REGRET (95 %)',
    'RELATIVE (95 %)',
    'TOP-1',
    'RANDOM',
    'TOP-3 REGRET',
    'TAU',
    'SECONDS',
    'COST',
)
REQUEST_FIELDS = (
    'targets',
    'per_class',
    'seeds',
    'first_seed',
    'side',
    'plan',
    'epochs',
    'device',
    'processes',
    'threads',
    'workers',
)


def add_benchmark_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        'targets', type=Path, help='a folder of target data sets, each with one sub-folder for each class'
    )
    parser.add_argument(
        '--out', type=Path, help='a folder for the cells and the result; an interrupted benchmark is resumed'
    )
    parser.add_argument(
        '--per-class', type=int, default=50, help='training images of each class, at most (default: 50)'
    )
    parser.add_argument(
        '--seeds', type=int, default=3, help='how often each cell is repeated, with other images (default: 3)'
    )
    parser.add_argument(
        '--first-seed',
        type=int,
        default=0,
        help='the first seed; give another machine other ones (default: 0)',
    )
    parser.add_argument(
        '--sources', default='', help='names separated by commas (default: every usable source)'
    )
    parser.add_argument(
        '--side', type=int, default=0, help="input side of all in pixels (default: each source's own)"
    )
    parser.add_argument(
        '--plan', default='several', choices=['last', 'several', 'all'], help='which layers are finetuned'
    )
    parser.add_argument(
        '--epochs', type=int, default=0, help="of each finetuning (default: the product's schedule)"
    )
    parser.add_argument('--device', default='auto', choices=['auto', 'cpu', 'cuda'])
    parser.add_argument(
        '--processes', type=int, default=1, help='that share the cells on this machine (default: 1)'
    )
    parser.add_argument(
        '--workers',
        type=int,
        default=0,
        help='Celery workers that run cells too; they must reach both folders (default: 0)',
    )
    parser.add_argument(
        '--threads', type=int, default=0, help="of each process (default: torch's own choice)"
    )


def add_fit_arguments(parser: ArgumentParser) -> None:
    parser.add_argument(
        'folder', type=Path, nargs='?', help='of a benchmark (default: the newest of this installation)'
    )
    parser.add_argument(
        '--keep', type=Path, help='write the fitted parameters into this file, and change nothing here'
    )


def run_benchmark(stream: TextIO, *, sources: str, out: Path | None, **options: Any) -> str:
    """Run a benchmark, with a line of progress for each cell on `stream`; return its table.

    `options`: those of `add_benchmark_arguments`.
    """
    names = tuple(name.strip() for name in sources.split(',') if name.strip())
    folder = out or selection_params.get_benchmark_folder()
    fields = {name: options[name] for name in REQUEST_FIELDS}
    request = benchmark.BenchmarkRequest(**fields, out=folder, sources=names)
    for cell in benchmark.run_benchmark(request):
        stream.write(f'{cell.done} of {cell.total}  {cell.cell}{_format_time_left(cell.seconds_left)}\n')
        stream.flush()
    return format_table(benchmark_results.compare_rules(folder))


def fit(folder: Path | None, keep: Path | None) -> str:
    """Fit the selection parameters to a benchmark (None: this installation's newest); return what changed, as
    text.

    `keep`: as benchmark_results.fit_selection_params.
    """
    fitted = benchmark_results.fit_selection_params(folder or selection_params.get_benchmark_folder(), keep)
    before, after = (f'{weights[0]:g} : {weights[1]:g}' for weights in (fitted.before, fitted.after))
    change = f'are now {after}' if fitted.changed else f'stay {before}: fitting does not lower the regret'
    return (
        f'Mean regret {fitted.regret_before:.4f} with the weights {before}, '
        f'{fitted.regret_after:.4f} with those fitted on the other targets.\n'
        f'The weights (similarity : size) {change}.\n'
        f'The forecast of accuracies is fitted to {fitted.forecast["rows"]:.0f} finetunings '
        f'on {fitted.forecast["targets"]:.0f} targets.'
    )


def format_table(result: BenchmarkResult) -> str:
    """The rules, one a line, as they are printed and as docs/p2l.md shows them."""
    lines = _format_rules(result.rules)
    if comparison := result.with_signature:
        lines += [
            '',
            f'Among the {len(comparison.sources)} sources with a signature:',
            *_format_rules(comparison.rules),
            '',
        ]
    gains = ', '.join(
        f'{gain.mean:+.3f} ({gain.low:+.3f} to {gain.high:+.3f}) over {gain.name}' for gain in result.ahead_of
    )
    lines.append(f'Accuracy gained by shortlist and probe, on the same targets: {gains}')
    seeds = ', '.join(f'{target.name} ({target.seeds})' for target in result.targets)
    lines.append(f'{len(result.sources)} sources on {len(result.targets)} targets (seeds): {seeds}')
    if coverage := result.forecast:
        lines.append(
            '90 % intervals of the forecast accuracy, fitted without the target, cover the selected source '
            'on '
            f'{coverage.targets_covered:.0%} of the targets and {coverage.covered:.0%} of the selections '
            f'from random halves of the zoo; median width {coverage.width:.2f}'
        )
    return '\n'.join(lines)


def _format_rules(rules: Sequence[RuleResult]) -> list[str]:
    rows = [COLUMNS, *(_format_rule(rule) for rule in rules)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _format_rule(rule: RuleResult) -> tuple[str, ...]:
    regret, relative = rule.regret, rule.relative
    return (
        rule.name,
        f'{regret.mean:.3f} ({regret.low:.3f} to {regret.high:.3f})',
        f'{relative.mean:.3f} ({relative.low:.3f} to {relative.high:.3f})',
        f'{rule.top1:.0%}',
        f'{rule.random_top1:.0%}',
        f'{rule.top3_regret:.3f}',
        f'{rule.tau:.2f}',
        f'{rule.seconds:.1f}',
        f'{rule.share:.1%}',
    )


def _format_time_left(seconds: int | None) -> str:
    if seconds is None:
        return '  (run before)'
    if seconds >= 60:
        return f'  {seconds // 3600} h {seconds // 60 % 60:02} min left'
    return f'  {seconds} s left'
