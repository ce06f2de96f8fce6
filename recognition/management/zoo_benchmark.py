"""`manage.py zoo evaluate` and `zoo fit` on a terminal."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, TextIO

from recognition.zoo import benchmark, benchmark_results, selection_params

COLUMNS = (
    'RULE',
    'REGRET (95 %)',
    'RELATIVE (95 %)',
    'TOP-1',
    'CHANCE',
    'TOP-3 REGRET',
    'TAU',
    'SECONDS',
    'COST',
)


def describe(parser: ArgumentParser) -> None:
    parser.add_argument(
        'targets', type=Path, help='a folder of targets, each a folder with a sub-folder for each class'
    )
    parser.add_argument(
        '--out', type=Path, help='a folder for the cells and the result; begun before, it goes on'
    )
    parser.add_argument(
        '--per-class', type=int, default=50, help='images of a class to learn from (default: 50)'
    )
    parser.add_argument('--seeds', type=int, default=3, help='how often each cell is repeated (default: 3)')
    parser.add_argument(
        '--first-seed', type=int, default=0, help='of the draws; another machine takes others'
    )
    parser.add_argument(
        '--sources', default='', help='names separated by commas (default: every usable source)'
    )
    parser.add_argument(
        '--side', type=int, default=0, help="input side of all in pixels (default: each source's own)"
    )
    parser.add_argument(
        '--plan', default='several', choices=['last', 'several', 'all'], help='which layers learn'
    )
    parser.add_argument(
        '--epochs', type=int, default=0, help="of each finetuning (default: the product's schedule)"
    )
    parser.add_argument('--device', default='auto', choices=['auto', 'cpu', 'cuda'])
    parser.add_argument('--processes', type=int, default=1, help='that share the cells')
    parser.add_argument(
        '--workers', type=int, default=0, help='Celery workers to ask for help; they must reach both folders'
    )
    parser.add_argument('--threads', type=int, default=0, help='of each process')


def describe_fit(parser: ArgumentParser) -> None:
    parser.add_argument(
        'folder', type=Path, nargs='?', help='of an evaluation (default: the newest of this installation)'
    )
    parser.add_argument(
        '--keep', type=Path, help='write what was learned into this file, and change nothing here'
    )


def evaluate(options: dict[str, Any], stream: TextIO) -> str:
    names = tuple(name.strip() for name in options['sources'].split(',') if name.strip())
    fields = (
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
    folder = options['out'] or selection_params.get_benchmark_folder()
    wanted = benchmark.BenchmarkRequest(**{name: options[name] for name in fields}, out=folder, sources=names)
    for step in benchmark.run_benchmark(wanted):
        stream.write(f'{step.through} of {step.of}  {step.cell}{_left(step.seconds_left)}\n')
        stream.flush()
    return table(benchmark_results.compare_rules(folder))


def fit(options: dict[str, Any]) -> str:
    found = benchmark_results.fit_selection_params(
        options['folder'] or selection_params.get_benchmark_folder(), options['keep']
    )
    before, after = (f'{weights[0]:g} : {weights[1]:g}' for weights in (found.before, found.after))
    action = f'are now {after}' if found.changed else f'stay {before}: fitting does not lower the regret'
    return (
        f'Mean regret {found.regret_before:.4f} with {before}, {found.regret_after:.4f} with those fitted on the other targets.\n'
        f'The weights {action}.\n'
        f'Accuracies are foretold from {found.forecast["rows"]:.0f} outcomes on {found.forecast["targets"]:.0f} targets.'
    )


def table(result: Mapping[str, Any]) -> str:
    """The rules, one a line, as they are printed and as docs/p2l.md shows them."""
    lines = _lines(result['rules'])
    if signed := result['signed']:
        lines += [
            '',
            f'Among the {len(signed["sources"])} sources with a signature:',
            *_lines(signed['rules']),
            '',
        ]
    ahead = ', '.join(
        f'{row["mean"]:+.3f} ({row["low"]:+.3f} to {row["high"]:+.3f}) over {row["name"]}'
        for row in result['ahead_of']
    )
    lines.append(f'Accuracy gained by shortlist and probe, on the same targets: {ahead}')
    seeds = ', '.join(f'{target["name"]} ({target["seeds"]})' for target in result['targets'])
    lines.append(f'{len(result["sources"])} sources on {len(result["targets"])} targets (seeds): {seeds}')
    foretold = result['forecast']
    if foretold:
        lines.append(
            f'90 % intervals of the accuracy, learned without the target, cover the source taken on '
            f'{foretold["targets_covered"]:.0%} of the targets and {foretold["covered"]:.0%} of the choices from random halves '
            f'of the zoo; median width {foretold["width"]:.2f}'
        )
    return '\n'.join(lines)


def _lines(rules: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [COLUMNS, *(_row(rule) for rule in rules)]
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        '  '.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]


def _row(rule: Mapping[str, Any]) -> tuple[str, ...]:
    regret, relative = rule['regret'], rule['relative']
    return (
        rule['name'],
        f'{regret["mean"]:.3f} ({regret["low"]:.3f} to {regret["high"]:.3f})',
        f'{relative["mean"]:.3f} ({relative["low"]:.3f} to {relative["high"]:.3f})',
        f'{rule["top1"]:.0%}',
        f'{rule["chance"]:.0%}',
        f'{rule["top3_regret"]:.3f}',
        f'{rule["tau"]:.2f}',
        f'{rule["seconds"]:.1f}',
        f'{rule["share"]:.1%}',
    )


def _left(seconds: int | None) -> str:
    if seconds is None:
        return '  (was there)'
    return (
        f'  {seconds // 3600} h {seconds // 60 % 60:02} min left' if seconds >= 60 else f'  {seconds} s left'
    )
