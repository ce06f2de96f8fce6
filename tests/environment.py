"""Loaded before Django's settings (`-p tests.environment`): tests never touch the data of an installation."""

from __future__ import annotations

import atexit
import os
import re
import shutil
import tempfile

folder = tempfile.mkdtemp(prefix='graft-tests-')
atexit.register(shutil.rmtree, folder, ignore_errors=True)
os.environ['GRAFT_DATA'] = folder
os.environ['OMP_WAIT_POLICY'] = 'PASSIVE'
os.environ.pop('GRAFT_PRODUCTION', None)
os.environ['P2L_REFERENCE'] = 'graft-generic'
os.environ['PACKAGED_SOURCES'] = (
    ''  # its network is six times the starter zoo's: tests that start a server train on small ones
)

# Fixtures of what runs differently on another database or broker; the markers are `django_db` and `services`.
SERVICE_FIXTURES = {'db', 'transactional_db', 'live_server'}


def choose_redis_database(address: str, process: int) -> str:
    """The process's own Redis database, counted from the one in the address: a worker that one test starts
    would take the jobs of another."""
    match = re.fullmatch(r'(rediss?://[^/]+)(?:/(\d*))?', address)
    return f'{match[1]}/{int(match[2] or 0) + process}' if match else address


def share_machine(process: int, processes: int) -> None:
    """Give each of the parallel processes (pytest -n) its part of the cores and a broker of its own."""
    os.environ.setdefault('OMP_NUM_THREADS', str(max(1, (os.cpu_count() or 1) // processes)))
    if address := os.environ.get('CELERY_BROKER_URL'):
        os.environ['CELERY_BROKER_URL'] = choose_redis_database(address, process)


if 'PYTEST_XDIST_WORKER' in os.environ:
    share_machine(
        int(os.environ['PYTEST_XDIST_WORKER'].removeprefix('gw')),
        int(os.environ['PYTEST_XDIST_WORKER_COUNT']),
    )


def pytest_addoption(parser):
    parser.addoption(
        '--only-services',
        action='store_true',
        help='only the tests that use the database or a broker; another server changes nothing for the rest',
    )


def uses_services(item) -> bool:
    marked = any(item.get_closest_marker(name) for name in ('django_db', 'services'))
    return marked or not SERVICE_FIXTURES.isdisjoint(item.fixturenames)


def pytest_collection_modifyitems(config, items):
    if config.getoption('only_services'):
        config.hook.pytest_deselected(items=[item for item in items if not uses_services(item)])
        items[:] = [item for item in items if uses_services(item)]
