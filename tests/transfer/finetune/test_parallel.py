"""Runs side by side: results in order, one voice, and no run goes on for nobody."""

from __future__ import annotations

import threading
import time

import pytest
import torch
from torch import nn

from transfer.finetune.parallel import run_parallel
from transfer.runtime.device import seed_dropout, use_threads
from transfer.spec.errors import JobCancelledError


def telling(result, words=3, seconds=0.0):
    def run(tell):
        for word in range(1, words + 1):
            time.sleep(seconds)
            tell(word / words, {'epoch': word, 'of': result})
        return result

    return run


def endless(ended: threading.Event):
    def run(tell):
        try:
            while True:
                time.sleep(0.01)
                tell(0.1, {})
        finally:
            ended.set()

    return run


@pytest.mark.parametrize('lanes', [1, 2])
def test_results_come_in_the_order_of_the_runs(lanes):
    assert run_parallel(
        [telling('slow', seconds=0.05), telling('fast'), telling('last')], lanes, lambda done, facts: None
    ) == [
        'slow',
        'fast',
        'last',
    ]


def test_two_runs_meet():
    both = threading.Barrier(2, timeout=10)
    assert sorted(
        run_parallel([lambda tell: both.wait(), lambda tell: both.wait()], 2, lambda done, facts: None)
    ) == [0, 1]


@pytest.mark.parametrize('lanes', [1, 2])
def test_the_share_of_all_is_told_in_the_callers_thread(lanes):
    heard = []
    run_parallel(
        [telling('a'), telling('b')],
        lanes,
        lambda done, facts: heard.append((threading.get_ident(), done, facts)),
    )
    assert {thread for thread, _, _ in heard} == {threading.get_ident()}
    assert [done for _, done, _ in heard] == sorted(done for _, done, _ in heard)
    assert heard[-1][1] == pytest.approx(1.0)


def test_only_the_first_of_two_tells_its_epochs():
    heard = []
    run_parallel(
        [telling('a', seconds=0.01), telling('b', seconds=0.01)], 2, lambda done, facts: heard.append(facts)
    )
    assert {facts['of'] for facts in heard if facts} == {'a'}


def test_an_error_of_one_halts_the_other_and_is_raised():
    def broken(tell):
        raise ValueError('the photo is gone')

    ended = threading.Event()
    with pytest.raises(ValueError, match='the photo is gone'):
        run_parallel([endless(ended), broken], 2, lambda done, facts: None)
    assert ended.is_set()


def test_who_cancels_waits_for_nobody():
    def cancel(done, facts):
        raise JobCancelledError

    first, second, begun = threading.Event(), threading.Event(), time.monotonic()
    with pytest.raises(JobCancelledError):
        run_parallel([endless(first), endless(second)], 2, cancel)
    assert first.is_set()
    assert second.is_set()
    assert time.monotonic() - begun < 5


def test_torch_has_its_threads_back_afterwards():
    before = torch.get_num_threads()
    inside = run_parallel([lambda tell: torch.get_num_threads()] * 2, 2, lambda done, facts: None)
    assert inside == [max(1, before // 2)] * 2
    assert torch.get_num_threads() == before
    with use_threads(1):
        assert torch.get_num_threads() == 1
    assert torch.get_num_threads() == before


def test_dropout_draws_from_its_own_chance_and_only_within():
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
