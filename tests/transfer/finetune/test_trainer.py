"""One run of finetuning: the learning rate follows the steps."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.optim.optimizer import register_optimizer_step_pre_hook

from transfer.finetune import trainer

PEAK = 0.004


class RandomInputs:
    """Ten random vectors of three numbers, never augmented."""

    def __init__(self) -> None:
        self.rows = torch.randn(10, 3, generator=torch.Generator().manual_seed(1))

    def training(self, rows: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
        return self.rows[rows]

    def clean(self, rows: Tensor) -> Tensor:
        return self.rows[rows]


@pytest.fixture
def rates():
    """The learning rate of every optimizer step, in order."""
    seen: list[float] = []
    handle = register_optimizer_step_pre_hook(
        lambda optimizer, args, kwargs: seen.append(optimizer.param_groups[0]['lr'])
    )
    yield seen
    handle.remove()


def run_epochs(folder, epochs: int, batch: int = 1) -> None:
    model = nn.Linear(3, 2)
    trainable = trainer.TrainableModel(
        model,
        model,
        [('head', list(model.parameters()))],
        {'head': PEAK},
        torch.device('cpu'),
        'float32',
        False,
    )
    run = trainer.Run('run', np.arange(10), np.arange(0), epochs, epochs, 0, batch, 0)
    labels = np.arange(10) % 2
    trainer.train_epochs(
        trainable, RandomInputs(), labels, run, folder, lambda note: None, lambda done, point: None
    )


def test_the_learning_rate_warms_up_and_falls_within_a_single_epoch(tmp_path, rates):
    run_epochs(tmp_path, 1)
    # Ten steps: linear from a tenth of the peak over the first fifth, then half a cosine: 0.5 * (1 + cos(pi *
    # k / 8)).
    expected = [0.1, 0.55, 1.0, 0.9619, 0.8536, 0.6913, 0.5, 0.3087, 0.1464, 0.0381]
    assert rates == pytest.approx([PEAK * share for share in expected], rel=2e-3)


def test_the_schedule_goes_on_from_epoch_to_epoch(tmp_path, rates):
    run_epochs(tmp_path, 5, batch=5)
    assert len(rates) == 10
    assert rates[:4] == pytest.approx([PEAK * share for share in (0.1, 0.55, 1.0, 0.9619)], rel=2e-3)
    assert rates[2:] == sorted(rates[2:], reverse=True)


class TwoKinds(RandomInputs):
    """Augmented, every image is blank; as it is, the sign of its first number is its label."""

    def __init__(self) -> None:
        super().__init__()
        self.labels = (self.rows[:, 0] > 0).long().numpy()
        self.asked: list[list[int]] = []

    def training(self, rows: Tensor, epoch: int, generator: torch.Generator) -> Tensor:
        self.asked.append(rows.tolist())
        return torch.zeros_like(self.rows[rows])


def train_two_groups(folder, inputs, labels, rates, **changes):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    groups = [(name, list(model[place].parameters())) for place, name in enumerate(rates)]
    trainable = trainer.TrainableModel(model, model, groups, rates, torch.device('cpu'), 'float32', False)
    run = trainer.Run('run', np.arange(10), np.arange(10), 10, 10, 0, 2, 0)
    history = trainer.train_epochs(
        trainable,
        inputs,
        labels,
        dataclasses.replace(run, **changes),
        folder,
        lambda note: None,
        lambda done, point: None,
    )
    return model, history


def test_a_frozen_group_gets_no_gradient_and_biases_do_not_decay(tmp_path):
    seen = []
    handle = register_optimizer_step_pre_hook(lambda optimizer, *rest: seen.append(optimizer.param_groups))
    inputs = RandomInputs()
    model, _ = train_two_groups(tmp_path, inputs, np.arange(10) % 2, {'stage': 0.0, 'head': PEAK}, stop=1)
    handle.remove()
    torch.manual_seed(0)
    assert torch.equal(model[0].weight, nn.Linear(3, 3).weight)
    assert model[0].weight.grad is None
    decays = {parameter.dim(): group['weight_decay'] for group in seen[0] for parameter in group['params']}
    assert decays == {2: trainer.WEIGHT_DECAY, 1: 0.0}


def test_every_epoch_takes_each_image_once_in_an_order_of_its_own(tmp_path):
    inputs = TwoKinds()
    train_two_groups(tmp_path, inputs, inputs.labels, {'stage': PEAK, 'head': PEAK}, stop=3)
    rows = np.concatenate(inputs.asked).reshape(3, 10)
    assert np.sort(rows, axis=1).tolist() == [list(range(10))] * 3
    assert len({tuple(epoch) for epoch in rows.tolist()}) == 3


def test_validation_sees_images_as_they_are_served(tmp_path):
    inputs = TwoKinds()
    model, history = train_two_groups(tmp_path, inputs, inputs.labels, {'stage': PEAK, 'head': PEAK})
    np.testing.assert_allclose(history.logits[-1], model(inputs.rows).detach().numpy(), rtol=1e-5)


def test_an_image_is_learned_with_its_own_label(tmp_path):
    inputs = RandomInputs()
    labels = (inputs.rows[:, 0] > 0).long().numpy()
    rates = {'stage': 0.05, 'head': 0.05}
    _, history = train_two_groups(tmp_path, inputs, labels, rates, epochs=30, stop=30)
    assert history.curve[-1].accuracy == 1


def test_a_run_stops_when_it_has_not_gained_for_long_but_never_in_its_first_half(tmp_path):
    """Where labels are told wrong, every epoch is worse than the one before."""
    inputs = RandomInputs()
    labels = (inputs.rows[:, 0] > 0).long().numpy()
    shown = np.arange(5)  # learned from with their labels; the others are validated with the opposite ones
    labels[5:] = 1 - labels[5:]
    rows = {'train_rows': shown, 'validation_rows': np.arange(5, 10)}
    rates = {'stage': 0.05, 'head': 0.05}
    _, patient = train_two_groups(tmp_path / 'patient', inputs, labels, rates, **rows)
    _, hasty = train_two_groups(tmp_path / 'hasty', inputs, labels, rates, patience=2, **rows)
    assert len(patient.curve) == 10
    assert len(hasty.curve) == 5
