"""Parallel runs: results in order, progress in one thread, and no run goes on after an error."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from torch import nn

from transfer.finetune.parallel import run_parallel
from transfer.runtime.device import seed_dropout, use_threads
from transfer.spec.errors import JobCancelledError
from transfer.spec.report import EpochMetrics


def reporting_run(result, words=3, seconds=0.0):
    def run(report):
        for word in range(1, words + 1):
            time.sleep(seconds)
            report(word / words, EpochMetrics(word, 0.0, seconds=seconds))
        return result

    return run


def endless_run(ended: threading.Event):
    def run(report):
        try:
            while True:
                time.sleep(0.01)
                report(0.1, None)
        finally:
            ended.set()

    return run


@pytest.mark.parametrize('workers', [1, 2])
def test_results_come_in_the_order_of_the_runs(workers):
    assert run_parallel(
        [reporting_run('slow', seconds=0.05), reporting_run('fast'), reporting_run('last')],
        workers,
        lambda done, point: None,
    ) == [
        'slow',
        'fast',
        'last',
    ]


def test_two_runs_are_done_at_the_same_time():
    both = threading.Barrier(2, timeout=10)
    assert sorted(
        run_parallel([lambda report: both.wait(), lambda report: both.wait()], 2, lambda done, point: None)
    ) == [0, 1]


@pytest.mark.parametrize('workers', [1, 2])
def test_progress_of_all_runs_is_reported_in_the_callers_thread(workers):
    calls = []
    run_parallel(
        [reporting_run('a'), reporting_run('b')],
        workers,
        lambda done, point: calls.append((threading.get_ident(), done, point)),
    )
    assert {thread for thread, _, _ in calls} == {threading.get_ident()}
    assert [done for _, done, _ in calls] == sorted(done for _, done, _ in calls)
    assert calls[-1][1] == pytest.approx(1.0)


def test_only_the_epochs_of_the_first_run_are_reported():
    calls = []
    run_parallel(
        [reporting_run('a', seconds=0.01), reporting_run('b', seconds=0.02)],
        2,
        lambda done, point: calls.append(point),
    )
    assert {point.seconds for point in calls if point} == {0.01}


def test_an_error_of_one_run_stops_the_other_and_is_raised():
    def broken(report):
        raise ValueError('the photo is gone')

    ended = threading.Event()
    with pytest.raises(ValueError, match='the photo is gone'):
        run_parallel([endless_run(ended), broken], 2, lambda done, point: None)
    assert ended.is_set()


def test_cancelling_stops_all_runs_at_once():
    def cancel(done, point):
        raise JobCancelledError

    first, second, begun = threading.Event(), threading.Event(), time.monotonic()
    with pytest.raises(JobCancelledError):
        run_parallel([endless_run(first), endless_run(second)], 2, cancel)
    assert first.is_set()
    assert second.is_set()
    assert time.monotonic() - begun < 5


def test_the_number_of_torch_threads_is_restored():
    before = torch.get_num_threads()
    inside = run_parallel([lambda report: torch.get_num_threads()] * 2, 2, lambda done, point: None)
    assert inside == [max(1, before // 2)] * 2
    assert torch.get_num_threads() == before
    with use_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_dropout_draws_from_the_given_generator_and_only_within():
    network = nn.Sequential(nn.Dropout(0.5)).train()
    ones = torch.ones(1000)

    def dropped() -> torch.Tensor:
        with seed_dropout(network, torch.Generator().manual_seed(7)):
            return network(ones)

    torch.manual_seed(1)
    first, state = dropped(), torch.get_rng_state()
    torch.manual_seed(2)
    assert torch.equal(first, dropped())
    torch.manual_seed(1)
    assert torch.equal(state, torch.get_rng_state())
    assert set(first.unique().tolist()) == {0.0, 2.0}
    assert 400 < int((first == 0).sum()) < 600
    assert torch.equal(network.eval()(ones), ones)
