"""Break the learning in small ways, one at a time, and see that a test fails for each.

    python -m tests.mutants [--only p2l] [--jobs 2]

Works in temporary copies of the repository. Ends with 1 where a mutant survives that the table does not
excuse, where more than SURVIVAL_LIMIT of all survive, or where a text to replace is not there exactly once.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from queue import SimpleQueue

from tests.mutants.table import MUTANTS, Mutant, find_broken_anchors

ROOT = Path(__file__).resolve().parents[2]
COPIED = ('recognition', 'transfer', 'p2l', 'tests', 'templates', 'docs', 'manage.py', 'pyproject.toml')
SURVIVAL_LIMIT = 0.05
TIMEOUT = 300  # seconds: a mutant that never ends is found out as well


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m tests.mutants', description=__doc__.split('\n', 1)[0])
    parser.add_argument('--only', default='', help='mutants of files whose path begins so')
    parser.add_argument('--jobs', type=int, default=2, help='copies that work at a time')
    options = parser.parse_args()
    if broken := find_broken_anchors(MUTANTS, ROOT):
        print(*broken, sep='\n')
        return 1
    mutants = [mutant for mutant in MUTANTS if mutant.file.startswith(options.only)]
    start = time.monotonic()
    with tempfile.TemporaryDirectory(prefix='graft-mutants-') as folder:
        copies: SimpleQueue[Path] = SimpleQueue()
        for number in range(options.jobs):
            copies.put(copy_repository(Path(folder) / str(number)))
        if failing := find_failing_tests(mutants, copies):
            print('These fail without any mutant:', *failing, sep='\n  ')
            return 1
        with ThreadPoolExecutor(options.jobs) as pool:
            survivors = [
                mutant for mutant in pool.map(lambda each: try_mutant(each, copies), mutants) if mutant
            ]
    return report(mutants, survivors, time.monotonic() - start)


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
    copy = copies.get()
    selections = sorted({test for mutant in mutants for test in mutant.tests})
    failing = (
        [] if run_tests(copy, selections) else [test for test in selections if not run_tests(copy, [test])]
    )
    copies.put(copy)
    return failing


def try_mutant(mutant: Mutant, copies: SimpleQueue[Path]) -> Mutant | None:
    """The mutant if it survives its tests."""
    copy = copies.get()
    path = copy / mutant.file
    text = path.read_text()
    try:
        path.write_text(text.replace(mutant.old, mutant.new))
        survives = run_tests(copy, mutant.tests)
    finally:
        path.write_text(text)
        copies.put(copy)
    print(f'{"SURVIVES" if survives else "killed  "} {mutant.file}: {mutant.what}', flush=True)
    return mutant if survives else None


def run_tests(copy: Path, tests: tuple[str, ...] | list[str]) -> bool:
    command = [sys.executable, '-m', 'pytest', '-q', '-x', '-p', 'no:cacheprovider', *tests]
    # Python compares source and bytecode by size and second: a mutant of equal length could be overlooked.
    environment = os.environ | {'OMP_NUM_THREADS': '1', 'PYTHONDONTWRITEBYTECODE': '1'}
    try:
        finished = subprocess.run(command, cwd=copy, env=environment, capture_output=True, timeout=TIMEOUT)
    except subprocess.TimeoutExpired:
        return False
    return finished.returncode == 0


def report(mutants: list[Mutant], survivors: list[Mutant], seconds: float) -> int:
    killed = len(mutants) - len(survivors)
    print(
        f'\n{killed} of {len(mutants)} mutants were killed ({killed / len(mutants):.0%}) in {seconds:.0f} s.'
    )
    for mutant in survivors:
        print(f'survived: {mutant.file}: {mutant.what} ({mutant.excuse or "no test fails"})')
    unexcused = [mutant for mutant in survivors if not mutant.excuse]
    return int(bool(unexcused) or len(survivors) > SURVIVAL_LIMIT * len(mutants))


if __name__ == '__main__':
    sys.exit(main())
