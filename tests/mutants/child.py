"""Run tests in a process that has loaded the libraries already.

Importing torch, SciPy and scikit-learn takes longer than most of the tests. A server process imports them
once (PRELOADED) and forks a child for each mutant; the product and the tests are imported by the child alone,
from its copy of the repository.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

PRELOADED = (
    'cv2',
    'django.contrib.admin',
    'hypothesis.extra.numpy',
    'numba',
    'openvino',
    'pytest',
    'pytest_django.plugin',
    'rest_framework.serializers',
    'safetensors.torch',
    'scipy.optimize',
    'scipy.stats',
    'sklearn.linear_model',
    'sklearn.svm',
    'torch',
    'torchvision',
)
PRODUCT = {'p2l', 'recognition', 'tests', 'transfer'}


def start_server() -> None:
    multiprocessing.get_context('forkserver').set_forkserver_preload(list(PRELOADED))


def run_tests(copy: Path, tests: Sequence[str], seconds: float) -> bool:
    """Whether these tests of the copy pass, in at most so many seconds."""
    process = multiprocessing.get_context('forkserver').Process(target=_run_pytest, args=(copy, tests))
    process.start()
    process.join(seconds)
    if process.is_alive() and process.pid is not None:
        os.killpg(process.pid, signal.SIGKILL)  # with the processes that tests have started
        process.join()
    return process.exitcode == 0


def _run_pytest(copy: Path, tests: Sequence[str]) -> None:
    os.setsid()
    quiet = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(quiet, stream)
    os.chdir(copy)
    root = Path(__file__).resolve().parents[2]
    sys.path[:] = [str(copy), *(path for path in sys.path if path and Path(path).resolve() != root)]
    for name in [name for name in sys.modules if name.partition('.')[0] in PRODUCT]:
        del sys.modules[name]
    sys.dont_write_bytecode = False
    import pytest

    sys.exit(pytest.main(['-q', '-x', '-p', 'no:cacheprovider', *tests]))
