"""Break the learning in small ways, one at a time, and see that a test fails for each.

    python -m tests.mutants [--only p2l] [--jobs 2] [--resume]

Works in temporary copies of the repository. Ends with 1 where a mutant survives that the table does not
excuse, where more than SURVIVAL_LIMIT of all survive, or where a text to replace is not there exactly once.
With --resume, mutants that an earlier run killed are not tried again, as long as their file and their tests
are the same (RESULTS).
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.child import run_tests, start_server
from tests.mutants.table import MUTANTS, Mutant, find_broken_anchors

ROOT = Path(__file__).resolve().parents[2]
COPIED = ('recognition', 'transfer', 'p2l', 'tests', 'templates', 'docs', 'manage.py', 'pyproject.toml')
RESULTS = ROOT / 'var' / 'mutants.jsonl'
SURVIVAL_LIMIT = 0.05
TIMEOUT = 300  # seconds: a mutant that never ends is found out as well


@dataclass(frozen=True)
class Result:
    """What became of one mutant."""

    mutant: Mutant
    killed: bool
    seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m tests.mutants', description=__doc__.split('\n', 1)[0])
    parser.add_argument('--only', default='', help='mutants of files whose path begins so')
    parser.add_argument('--jobs', type=int, default=2, help='copies that work at a time')
    parser.add_argument('--resume', action='store_true', help='leave out what an earlier run killed')
    options = parser.parse_args()
    if broken := find_broken_anchors(MUTANTS, ROOT):
        print(*broken, sep='\n')
        return 1
    chosen = [mutant for mutant in MUTANTS if mutant.file.startswith(options.only)]
    known = read_killed() if options.resume else {}
    results = [
        Result(mutant, True, known[key]) for mutant in chosen if (key := fingerprint(mutant, ROOT)) in known
    ]
    mutants = [mutant for mutant in chosen if fingerprint(mutant, ROOT) not in known]
    os.environ['OMP_NUM_THREADS'] = '1'
    start_server()
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='graft-mutants-') as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.jobs):
            copies.put(copy_repository(Path(folder) / str(number)))
        if failing := find_failing_tests(mutants, copies):
            print('These fail without any mutant:', *failing, sep='\n  ')
            return 1
        with ThreadPoolExecutor(options.jobs) as pool:
            results += pool.map(lambda each: try_mutant(each, copies), mutants)
    return report(results, time.monotonic() - start)


def fingerprint(mutant: Mutant, root: Path) -> str:
    """Of the mutant, its file and its tests: what its result depends on, but for what these import."""
    names = [mutant.file, *(test.partition('::')[0] for test in mutant.tests)]
    texts = [repr(mutant), *((root / name).read_text() for name in names)]
    return hashlib.sha256('\0'.join(texts).encode()).hexdigest()


def read_killed() -> dict[str, float]:
    """Seconds by fingerprint of what earlier runs killed."""
    lines = RESULTS.read_text().splitlines() if RESULTS.exists() else []
    rows = [json.loads(line) for line in lines]
    return {row['fingerprint']: row['seconds'] for row in rows if row['killed']}


def record_result(result: Result, key: str) -> None:
    RESULTS.parent.mkdir(exist_ok=True)
    row = {'fingerprint': key, 'killed': result.killed, 'seconds': result.seconds}
    with RESULTS.open('a') as file:
        file.write(json.dumps(row) + '\n')


def copy_repository(folder: Path) -> Path:
    folder.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns('__pycache__'))
        else:
            shutil.copy2(source, folder / name)
    return folder


def find_failing_tests(mutants: list[Mutant], copies: SimpleQueue[Path]) -> list[str]:
    """A test that fails anyway would kill every mutant."""
    if not mutants:
        return []
    copy = copies.get()
    selections = sorted({test for mutant in mutants for test in mutant.tests})
    failing = (
        []
        if run_tests(copy, selections, len(selections) * TIMEOUT)
        else [test for test in selections if not run_tests(copy, [test], TIMEOUT)]
    )
    copies.put(copy)
    return failing


def try_mutant(mutant: Mutant, copies: SimpleQueue[Path]) -> Result:
    copy = copies.get()
    path, key = copy / mutant.file, fingerprint(mutant, copy)
    text, start = path.read_text(), time.monotonic()
    try:
        path.write_text(text.replace(mutant.old, mutant.new))
        # Python compares source and bytecode by size and second: so each mutant has a second of its own.
        os.utime(path, (MUTANTS.index(mutant),) * 2)
        survives = run_tests(copy, mutant.tests, TIMEOUT)
    finally:
        path.write_text(text)
        copies.put(copy)
    result = Result(mutant, not survives, round(time.monotonic() - start, 1))
    record_result(result, key)
    fate = 'killed  ' if result.killed else 'SURVIVES'
    print(f'{fate} {result.seconds:5.1f} s  {mutant.file}: {mutant.what}', flush=True)
    return result


def report(results: list[Result], seconds: float) -> int:
    survivors = [result.mutant for result in results if not result.killed]
    killed = len(results) - len(survivors)
    print(f'\n{killed} of {len(results)} mutants were killed ({killed / max(1, len(results)):.1%}).')
    print(
        f'This run took {seconds:.0f} s; all trials together {sum(each.seconds for each in results):.0f} s.'
    )
    for mutant in survivors:
        print(f'survived: {mutant.file}: {mutant.what} ({mutant.excuse or "no test fails"})')
    unexcused = [mutant for mutant in survivors if not mutant.excuse]
    return int(bool(unexcused) or len(survivors) > SURVIVAL_LIMIT * len(results))


if __name__ == '__main__':
    sys.exit(main())
