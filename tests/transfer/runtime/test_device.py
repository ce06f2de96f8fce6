"""Precision by the clock, and a batch that shrinks until it fits."""

from __future__ import annotations

import time

import pytest
import torch
from torch import nn

from transfer.runtime.device import (
    autocast,
    choose_device,
    choose_precision,
    is_out_of_memory,
    run_in_batches,
    train_dropout_only,
)
from transfer.spec.errors import InvalidSpecError

CPU = torch.device('cpu')


def burn(seconds: float) -> None:
    until = time.process_time() + seconds
    while time.process_time() < until:
        sum(range(100))


@pytest.mark.parametrize(
    ('float32', 'bfloat16', 'expected'),
    [(0.02, 0.005, 'bfloat16'), (0.005, 0.02, 'float32'), (0.01, 0.0095, 'float32')],
)
def test_the_clock_decides_and_a_near_tie_stays_exact(tmp_path, float32, bfloat16, expected):
    seconds = {'float32': float32, 'bfloat16': bfloat16}
    assert (
        choose_precision('auto', 'net', CPU, lambda name: burn(seconds[name]), tmp_path / 'p.json')
        == expected
    )


def test_the_outcome_is_remembered(tmp_path):
    asked: list[str] = []
    first = choose_precision('auto', 'net', CPU, asked.append, tmp_path / 'p.json')
    count = len(asked)
    assert choose_precision('auto', 'net', CPU, asked.append, tmp_path / 'p.json') == first
    assert len(asked) == count > 0
    choose_precision('auto', 'another net', CPU, asked.append, tmp_path / 'p.json')
    assert len(asked) > count


def test_what_was_asked_for_is_not_timed(tmp_path):
    assert (
        choose_precision('bfloat16', 'net', CPU, lambda name: pytest.fail('timed'), tmp_path / 'p.json')
        == 'bfloat16'
    )


@pytest.mark.parametrize(
    'error', [RuntimeError('CUDA out of memory. Tried to allocate'), torch.OutOfMemoryError('full')]
)
def test_out_of_memory_halves_the_batch_and_goes_on(error):
    seen: list[tuple[int, int]] = []
    notes: list[str] = []

    def work(start: int, stop: int) -> None:
        if stop - start > 10:
            raise error
        seen.append((start, stop))

    assert run_in_batches(50, 32, work, notes.append) == 8
    assert [row for start, stop in seen for row in range(start, stop)] == list(range(50))
    assert notes == [
        'Memory ran out; the batch was halved to 16 images.',
        'Memory ran out; the batch was halved to 8 images.',
    ]


def test_another_error_is_not_swallowed():
    def work(start: int, stop: int) -> None:
        raise RuntimeError('shapes do not match')

    with pytest.raises(RuntimeError, match='shapes'):
        run_in_batches(4, 2, work, lambda note: None)


def test_one_image_that_does_not_fit_ends_it():
    def work(start: int, stop: int) -> None:
        raise RuntimeError('out of memory')

    with pytest.raises(RuntimeError, match='out of memory'):
        run_in_batches(4, 4, work, lambda note: None)
    assert is_out_of_memory(
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 bytes")
    )


def test_cuda_is_refused_where_there_is_none():
    if torch.cuda.is_available():
        assert choose_device('cuda').type == choose_device('auto').type == 'cuda'
    else:
        assert choose_device('auto') == CPU
        with pytest.raises(InvalidSpecError, match='CUDA'):
            choose_device('cuda')


def test_frozen_statistics_stay_while_dropout_works():
    network = torch.nn.Sequential(torch.nn.BatchNorm2d(3), torch.nn.Flatten(), torch.nn.Dropout(0.5))
    before = network[0].running_mean.clone()
    train_dropout_only(network)
    out = network(torch.rand(64, 3, 4, 4) + 1)
    assert torch.equal(network[0].running_mean, before)
    assert 0.4 < float((out == 0).float().mean()) < 0.6


class TestAutocast:
    """On a CPU in bfloat16."""

    def outputs(self, layer: nn.Conv2d, precision: str) -> torch.dtype:
        with autocast(CPU, precision):
            return layer(torch.ones(1, layer.in_channels, 8, 8)).dtype

    def test_depthwise_convolutions_stay_exact_where_gradients_are_wanted(self):
        depthwise = nn.Conv2d(8, 8, 3, groups=8)
        assert self.outputs(depthwise, 'bfloat16') == torch.float32
        with torch.inference_mode():
            assert self.outputs(depthwise, 'bfloat16') == torch.bfloat16

    def test_all_others_are_coarse(self):
        assert self.outputs(nn.Conv2d(8, 8, 3), 'bfloat16') == torch.bfloat16
        assert self.outputs(nn.Conv2d(8, 8, 3, groups=4), 'bfloat16') == torch.bfloat16
        assert self.outputs(nn.Conv2d(8, 8, 3, groups=8), 'float32') == torch.float32

    def test_gradients_reach_every_layer(self):
        network = nn.Sequential(nn.Conv2d(3, 8, 1), nn.Conv2d(8, 8, 3, groups=8), nn.Conv2d(8, 2, 1))
        with autocast(CPU, 'bfloat16'):
            network(torch.ones(2, 3, 8, 8)).float().sum().backward()
        assert all(
            parameter.grad is not None and parameter.grad.abs().sum() > 0
            for parameter in network.parameters()
        )
