"""Run the benchmarks: `make bench` runs all, `make bench ARGS='serving'` those whose name contains a word.

Each module of this package with a `main()` is one benchmark; it prints a table. Timings are ratios of things
measured alternately in one run, because the speed of a shared machine drifts.
"""

from __future__ import annotations

import importlib
import pkgutil
import sys
import time
from pathlib import Path


def chosen(words: list[str]) -> list[str]:
    found = pkgutil.iter_modules([str(Path(__file__).parent)])
    names = sorted(module.name for module in found if not module.name.startswith('_'))
    return [name for name in names if not words or any(word in name for word in words)]


def main() -> None:
    sys.argv, words = sys.argv[:1], sys.argv[1:]
    for name in chosen(words):
        module = importlib.import_module(f'tests.benchmarks.{name}')
        if hasattr(module, 'main'):
            started = time.perf_counter()
            print(f'\n## {name}', flush=True)
            module.main()
            print(f'({time.perf_counter() - started:.0f} s)', flush=True)


if __name__ == '__main__':
    main()
