"""Twenty times kill -9, of the worker or of its training, at moments drawn at random: no job is lost, none
runs twice at once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from recognition.celery import app
from tests.support.services import service_address

ROOT = Path(__file__).resolve().parents[2]
KILLS = 20

pytestmark = pytest.mark.slow


@pytest.fixture
def database(tmp_path):
    """A database of its own that other processes can reach: the file of an installation, or one on the server
    under test."""
    address = os.environ.get('DATABASE_URL', '')
    if not address.startswith('postgres'):
        yield f'sqlite:///{tmp_path / "data" / "db.sqlite3"}'
        return
    import psycopg

    name = f'graft_kill_{os.getpid()}'
    with psycopg.connect(address, autocommit=True) as server:
        server.execute(f'CREATE DATABASE {name}')
        yield f'{address.rpartition("/")[0]}/{name}'
        server.execute(f'DROP DATABASE {name} WITH (FORCE)')


def kill_run(tmp_path, database, broker, seed):
    (tmp_path / 'diary').mkdir()
    environment = {
        **os.environ,
        'DJANGO_SETTINGS_MODULE': 'recognition.settings',
        'GRAFT_DATA': str(tmp_path / 'data'),
        'DATABASE_URL': database,
        'CELERY_BROKER_URL': broker,
        'PYTHONPATH': str(ROOT / 'tests' / 'flows' / 'slow'),
        'DIARY': str(tmp_path / 'diary'),
    }
    program = [sys.executable, '-m', 'tests.flows.kill_run', str(seed), str(KILLS)]
    done = subprocess.run(program, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def assert_none_lost_or_doubled(outcome, diaries):
    assert sum(outcome['killed'].values()) == KILLS
    assert outcome['left'] == 0
    for job in outcome['jobs']:
        assert job['state'] == 'succeeded' or job['error'] == 'worker_died', job
        assert job['attempts'] == job['deaths'] + (job['state'] == 'succeeded'), job
        assert job['models'] in ([[False]] if job['state'] == 'succeeded' else [[], [True]]), job
        assert_one_at_a_time(
            [line.split() for line in (diaries / job['id']).read_text().splitlines() if line]
        )
    assert sum(job['deaths'] for job in outcome['jobs']) >= KILLS / 4  # the others met a job at its very end
    assert sum(job['state'] == 'succeeded' for job in outcome['jobs']) >= len(outcome['jobs']) / 2


def assert_one_at_a_time(lines):
    """Each process goes on where the one before it stopped, and none writes after its successor began."""
    pids = [pid for pid, _, _ in lines]
    turns = [pid for number, pid in enumerate(pids) if number == 0 or pids[number - 1] != pid]
    assert len(turns) == len(set(turns)), 'two processes ran the job at once'
    ended = -1
    for pid in turns:
        steps = [(action, int(step)) for holder, action, step in lines if holder == pid]
        assert steps[0][0] == 'begins'
        assert steps[0][1] in (ended + 1, ended + 2), (
            'the checkpoint was not used'
        )  # + 2: killed before it noted the end
        ended = max([step for action, step in steps if action == 'ends'], default=steps[0][1] - 1)


def test_jobs_survive_kills_with_the_embedded_broker(tmp_path, database):
    outcome = kill_run(tmp_path, database, 'spool://', 1)
    assert_none_lost_or_doubled(outcome, tmp_path / 'diary')


@pytest.mark.services
def test_jobs_survive_kills_with_a_broker_that_is_a_server(tmp_path, database):
    broker = service_address('CELERY_BROKER_URL')
    app.control.purge()  # of what other tests sent and no worker took
    outcome = kill_run(tmp_path, database, broker, 2)
    assert_none_lost_or_doubled(outcome, tmp_path / 'diary')
