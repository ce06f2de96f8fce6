"""A worker's processes, and the configuration under which Celery drives them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from recognition.celery import RUN_BENCHMARK_CELL, RUN_JOB, app
from recognition.models import Job
from transfer.spec.errors import JobCancelledError
from transfer.spec.report import Progress
from transfer.worker import heartbeat, runner

ROOT = Path(__file__).resolve().parents[3]
ECHO = (
    'import sys; queue = sys.stdin.readline().strip(); '
    'open(sys.argv[1], "a").write(queue + "\\n"); sys.exit(queue == "bad")'
)
STUBBORN = 'import sys, time; sys.stdin.readline(); open(sys.argv[1], "w").close(); time.sleep(600)'


@pytest.fixture
def start(monkeypatch, tmp_path):
    """A runner whose processes run a small program with the path of a log."""
    begun = []

    def make(program):
        monkeypatch.setattr(runner, 'CHILD_COMMAND', (sys.executable, '-c', program, str(tmp_path / 'log')))
        begun.append(runner.Runner())
        return begun[-1]

    monkeypatch.setattr(runner, 'POLL_INTERVAL', 0.1)
    monkeypatch.setattr(runner, 'STOP_TIMEOUT', 0.3)
    yield make
    for one in begun:
        one.stop()


def in_background(function, *arguments):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(function(*arguments)), daemon=True)
    thread.start()
    return thread, answers


def wait_for(question):
    until = time.monotonic() + 30
    while not (answer := question()):
        assert time.monotonic() < until
    return answer


def wanted(pid):
    return False


def test_each_job_gets_a_process_of_its_own_whose_exit_status_is_returned(start, tmp_path):
    one = start(ECHO)
    assert [one.run(queue, wanted) for queue in ('cpu', 'bad', 'gpu')] == [0, 1, 0]
    assert (tmp_path / 'log').read_text().split() == ['cpu', 'bad', 'gpu']
    assert one.pids() == []


def test_a_warm_process_that_died_while_it_waited_is_replaced(start):
    one = start(ECHO)
    one.preload()
    one._spare.kill()
    one._spare.wait()
    assert one.run('cpu', wanted) == 0


def test_a_killed_training_is_known_at_once(start, tmp_path):
    one = start(STUBBORN)
    thread, answers = in_background(one.run, 'cpu', wanted)
    wait_for((tmp_path / 'log').exists)
    os.kill(one.pids()[0], signal.SIGKILL)
    thread.join(5)
    assert answers == [-signal.SIGKILL]


def test_a_cancelled_training_that_does_not_leave_is_killed(start):
    assert start(STUBBORN).run('cpu', lambda pid: True) == -signal.SIGKILL


def test_a_worker_that_stops_ends_its_processes_and_starts_no_more(start, tmp_path):
    one = start(STUBBORN)
    thread, answers = in_background(one.run, 'cpu', wanted)
    wait_for((tmp_path / 'log').exists)
    one.stop()
    thread.join(5)
    assert answers == [-signal.SIGKILL]
    assert one.run('cpu', wanted) == 0
    assert one.pids() == []


@pytest.fixture
def report(project):
    job = Job.objects.create(project=project)
    assert job.claim('me')
    return heartbeat.JobReport(job)


@pytest.mark.django_db
def test_progress_is_written_once_a_second_unless_the_phase_changes(report, django_assert_num_queries):
    report.progress(Progress('decode', 0.1))
    with django_assert_num_queries(0):
        report.progress(Progress('decode', 0.2))
    with django_assert_num_queries(2):
        report.progress(Progress('rank', 0.3))


@pytest.mark.django_db
def test_a_heartbeat_that_finds_the_job_lost_stops_the_training_at_its_next_report(report):
    Job.objects.update(attempt=2)
    report.write_heartbeat()
    with pytest.raises(JobCancelledError):
        report.progress(Progress('decode', 0.1))


@pytest.mark.django_db
def test_the_heartbeat_of_a_training_that_hangs_stops(report, monkeypatch):
    monkeypatch.setattr(heartbeat, 'HEARTBEAT_INTERVAL', 0.01)
    monkeypatch.setattr(heartbeat, 'HANG_TIMEOUT', -1.0)
    hung = threading.Event()
    with heartbeat.keep_heartbeat(report, hung.set):
        assert hung.wait(10)
    assert not report.lost


def test_messages_are_json_and_none_is_reserved_behind_a_training():
    assert app.conf.accept_content == ['json']
    assert (app.conf.worker_prefetch_multiplier, app.conf.worker_concurrency, app.conf.task_acks_late) == (
        1,
        1,
        True,
    )
    assert app.conf.result_backend is None
    app.loader.import_default_modules()
    assert {RUN_JOB, RUN_BENCHMARK_CELL} <= set(app.tasks)


FORKING = """
import os, sys, time
sys.stdin.readline()
if os.fork() == 0:
    time.sleep(600)
open(sys.argv[1], 'w').close()
time.sleep(600)
"""


def test_what_a_killed_training_has_forked_ends_with_it(start, tmp_path):
    one = start(FORKING)
    thread, _ = in_background(one.run, 'cpu', wanted)
    wait_for((tmp_path / 'log').exists)
    leader = one.pids()[0]
    os.kill(leader, signal.SIGKILL)
    thread.join(5)
    with pytest.raises(ProcessLookupError):
        wait_for(lambda: os.killpg(leader, 0))


def test_openvino_calls_nobody():
    code = (
        'import sys, transfer.serving.openvino_engine;'
        'assert "openvino.tools.ovc.telemetry_stub" in sys.modules; assert sys.modules["openvino_telemetry"] '
        'is None'
    )
    assert subprocess.run([sys.executable, '-c', code], cwd=ROOT, timeout=120).returncode == 0
