"""One run of finetuning: the learning rate follows the steps."""

from __future__ import annotations

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
