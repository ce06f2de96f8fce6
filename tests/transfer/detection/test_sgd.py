"""The training loop of all detectors: resumed bit for bit, its schedule, its parameter groups, and its end
when it diverges."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from torch import nn

from tests.support.small_training import RecordingReport
from transfer.detection.sgd import Schedule, epochs_for, images_of_step, parameter_groups, run_sgd
from transfer.runtime import checkpoints
from transfer.spec.errors import TrainingError
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.rcnn import RcnnSpec

SPEC = RcnnSpec(steps=12, warm_up=3, rate=0.05, momentum=0.9)


def train(
    steps: int = 12, checkpoint: Path | None = None, stop_after: int = -1, spec: RcnnSpec = SPEC
) -> tuple[nn.Module, RecordingReport]:
    """A small network on random numbers: every step has a gradient of its own."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(5, 4), nn.Dropout(0.3), nn.Linear(4, 1))

    def compute_gradients(step: int, generator: np.random.Generator) -> float:
        values = torch.from_numpy(generator.normal(size=(8, 5)).astype(np.float32))
        loss = (model(values) - values.sum(1, keepdim=True)).square().mean()
        loss.backward()
        return loss.item()

    report = RecordingReport(raise_at=stop_after)
    run_sgd(
        model,
        set(model[2].parameters()),
        compute_gradients,
        spec,
        Schedule(steps),
        lambda done: done / steps,
        report,
        checkpoint,
    )
    return model, report


@pytest.mark.parametrize('stop_after', [1, 5, 11])
def test_an_interrupted_training_ends_with_the_same_bits(stop_after, tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, 'SAVE_EVERY', 0.0)
    whole, report = train()
    path = tmp_path / 'checkpoint.safetensors'
    with pytest.raises(InterruptedError):
        train(checkpoint=path, stop_after=stop_after)
    resumed, rest = train(checkpoint=path)
    assert len(rest.recorded) == 12 - stop_after
    for name, value in whole.state_dict().items():
        assert torch.equal(value, resumed.state_dict()[name]), name
    assert rest.recorded[-1].loss == report.recorded[-1].loss


def test_momentum_is_part_of_what_a_resumed_training_goes_on_with(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, 'SAVE_EVERY', 0.0)
    plain = dataclasses.replace(SPEC, momentum=0.0)
    path = tmp_path / 'checkpoint.safetensors'
    with pytest.raises(InterruptedError):
        train(checkpoint=path, stop_after=6)
    forgetful, _ = train(checkpoint=path, spec=plain)
    whole, _ = train()
    assert not torch.equal(forgetful[0].weight, whole[0].weight)


def test_a_finished_training_is_not_repeated(tmp_path):
    path = tmp_path / 'checkpoint.safetensors'
    finished, _ = train(checkpoint=path)
    again, report = train(checkpoint=path)
    assert report.recorded == []
    assert torch.equal(finished[0].weight, again[0].weight)


def test_progress_counts_steps_as_epochs_of_the_schedule():
    _, report = train()
    assert [progress.epoch for progress in report.recorded] == list(range(1, 13))
    assert {progress.epochs for progress in report.recorded} == {12}
    assert [progress.fraction for progress in report.recorded] == pytest.approx(
        [n / 12 for n in range(1, 13)]
    )
    assert report.recorded[-1].seconds_left == 0
    assert Schedule(30, images=5, images_per_step=2).epoch(3) == 2


def test_a_training_that_diverges_says_so():
    with pytest.raises(TrainingError, match='Training diverged'):
        train(steps=400, spec=dataclasses.replace(SPEC, rate=1e6, clip=1e12))


def test_a_long_gradient_is_cut_to_length():
    short, _ = train(steps=1, spec=dataclasses.replace(SPEC, clip=1e-3, decay=0.0))
    torch.manual_seed(0)
    first = nn.Linear(5, 4)
    moved = (short[0].weight - first.weight).norm()
    # A tenth of the rate at the first step of the warm-up.
    assert 0 < moved <= 1e-3 * 0.1 * SPEC.rate * 1.01


def test_the_learning_rate_rises_then_falls_to_a_tenth():
    spec, schedule = FastRcnnSpec(warm_up=50), Schedule(1000)
    factors = [schedule.rate_factor(step, spec) for step in (0, 25, 50, 749, 750, 999)]
    assert factors == pytest.approx([0.1, 0.55, 1, 1, 0.1, 0.1])


def test_the_learning_rate_rises_again_when_the_backbone_joins_the_heads():
    spec, schedule = FastRcnnSpec(warm_up=50), Schedule(1000, head_steps=200)
    factors = [schedule.rate_factor(step, spec) for step in (0, 50, 199, 200, 250, 799, 800)]
    assert factors == pytest.approx([0.1, 1, 1, 0.1, 1, 1, 0.1])


def test_the_first_step_of_a_training_moves_at_a_tenth_of_the_rate(monkeypatch):
    rates = []
    step = torch.optim.SGD.step

    def record(self):
        rates.append([group['lr'] for group in self.param_groups])
        return step(self)

    monkeypatch.setattr(torch.optim.SGD, 'step', record)
    train()
    # Old weights, old biases, new weights, new biases.
    full = [SPEC.rate, 2 * SPEC.rate, 10 * SPEC.rate, 20 * SPEC.rate]
    assert rates[0] == pytest.approx([0.1 * rate for rate in full])
    assert rates[3] == pytest.approx(full)
    assert rates[9] == pytest.approx([0.1 * rate for rate in full])


def test_frozen_parameters_are_in_no_group_and_biases_do_not_decay():
    model = nn.Sequential(nn.Conv2d(3, 2, 1), nn.BatchNorm2d(2), nn.Conv2d(2, 1, 1))
    model[0].requires_grad_(False)
    groups = parameter_groups(model, set(model[2].parameters()), SPEC)
    listed = [parameter for group in groups for parameter in group['params']]
    assert len(listed) == 4 and not any(parameter is model[0].weight for parameter in listed)
    decays = {
        parameter.dim() == 1: group['weight_decay'] for group in groups for parameter in group['params']
    }
    assert decays == {True: 0.0, False: SPEC.decay}


def test_every_epoch_takes_each_image_once_in_an_order_of_its_own():
    spec = FastRcnnSpec(images_per_batch=2)
    epochs = [
        [place for step in range(5 * n, 5 * n + 5) for place in images_of_step(step, 10, spec, seed=3)]
        for n in range(3)
    ]
    assert all(sorted(epoch) == list(range(10)) for epoch in epochs)
    assert epochs[0] != epochs[1] != epochs[2]
    assert epochs_for(70, spec, 16) == 16 and epochs_for(14, spec, 16) == 43
    assert epochs_for(70, dataclasses.replace(spec, epochs=3), 16) == 3
