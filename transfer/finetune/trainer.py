"""Epochs: one run of a finetuning on some images, watched on others, checkpointed after every epoch."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from transfer.features.calibration import calibrated_loss
from transfer.features.metrics import accuracy, log_loss
from transfer.finetune.inputs import Inputs
from transfer.finetune.parallel import ProgressCallback
from transfer.finetune.schedule import scale_learning_rate
from transfer.runtime.device import FORWARD_BATCH, autocast, run_in_batches, seed_dropout, train_dropout_only

WEIGHT_DECAY = 0.01  # AdamW's, on weights; not on biases and norms
SAVE_EVERY = 3.0  # seconds of training that a killed job may lose: cheap epochs need no checkpoint each


@dataclass(frozen=True)
class TrainableModel:
    """A network and its learning part: `network` takes what the inputs give and ends in class scores."""

    model: nn.Module  # all of it
    network: nn.Module
    groups: list[tuple[str, list[nn.Parameter]]]
    rates: dict[str, float]
    device: torch.device
    precision: str
    live_statistics: bool  # batch norms learn their statistics: on large sets only


@dataclass(frozen=True)
class Run:
    """One fold, or the final training on everything."""

    name: str
    train: np.ndarray  # rows to learn from
    held: np.ndarray  # rows to watch; may be empty
    epochs: int  # the length of the schedule
    stop: int  # run only so many of them
    patience: int  # epochs without a better loss on the held-out images before stopping; 0: never
    batch: int
    seed: int


@dataclass
class History:
    """What a run has seen so far: one entry an epoch."""

    logits: list[np.ndarray] = field(default_factory=list)  # of the held-out rows, (held, classes)
    curve: list[dict[str, Any]] = field(default_factory=list)

    def losses(self, labels: np.ndarray) -> list[float]:
        """The calibrated log loss of each epoch: overconfidence is cured later, so it must not choose the epoch."""
        return [calibrated_loss(logits, labels) for logits in self.logits]


def train_epochs(
    learner: TrainableModel,
    inputs: Inputs,
    labels: np.ndarray,
    run: Run,
    folder: Path,
    note: Callable[[str], None],
    beat: ProgressCallback,
) -> History:
    """Run the epochs that the checkpoint of that name does not hold yet; the network ends as the last epoch left it.

    Every epoch's chance comes from (seed, epoch), so that an interrupted run ends bit for bit like an undisturbed one.
    """
    optimizer = _make_optimizer(learner)
    truth = torch.from_numpy(labels).to(learner.device)
    path = folder / f'{run.name}.safetensors'
    record = _resume(path, learner.network, optimizer)
    batch, saved = run.batch, time.monotonic()
    for epoch in range(len(record.curve), run.stop):
        if _should_stop(record, labels[run.held], run):
            break
        start = time.monotonic()

        def tell(done: float, epoch: int = epoch) -> None:
            beat((epoch + done) / run.stop, record.curve[-1] if record.curve else {})

        with seed_dropout(learner.network, torch.Generator(learner.device).manual_seed(_seed(run, epoch))):
            loss, batch = _train_epoch(learner, optimizer, inputs, truth, run, epoch, batch, note, tell)
        if len(run.held):
            record.logits.append(evaluate(learner, inputs, run.held, note))
        record.curve.append(_curve_point(record, labels[run.held], epoch, loss, time.monotonic() - start))
        if time.monotonic() - saved >= SAVE_EVERY or epoch == run.stop - 1:
            _save(path, learner.network, optimizer, record)
            saved = time.monotonic()
        beat((epoch + 1) / run.stop, record.curve[-1] | {'force': True})
    return record


def _train_epoch(
    learner: TrainableModel,
    optimizer: torch.optim.Optimizer,
    inputs: Inputs,
    truth: Tensor,
    run: Run,
    epoch: int,
    batch: int,
    note: Callable[[str], None],
    beat: Callable[[float], None],
) -> tuple[float, int]:
    """One pass over the training rows; returns the mean loss and the batch size that fitted into memory."""
    learner.network.train() if learner.live_statistics else train_dropout_only(learner.network)
    torch.manual_seed(
        _seed(run, epoch)
    )  # of what a large set's whole network drops beside dropout: stochastic depth
    chance = torch.Generator().manual_seed(_seed(run, epoch))
    order = torch.from_numpy(run.train)[torch.randperm(len(run.train), generator=chance)]
    total = torch.zeros(
        (), device=learner.device
    )  # read once an epoch: reading it each step would stop the GPU

    def step(start: int, stop: int) -> None:
        if learner.live_statistics and stop - start == 1:
            return  # a batch of one has no statistics
        rows = order[start:stop]
        for group in optimizer.param_groups:
            group['lr'] = group['peak'] * scale_learning_rate((epoch + start / len(order)) / run.epochs)
        with autocast(learner.device, learner.precision):
            scores = learner.network(inputs.training(rows, epoch, chance))
        loss = nn.functional.cross_entropy(scores.float(), truth[rows.to(truth.device)])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total.add_(loss.detach() * len(rows))
        beat(stop / len(order))

    batch = run_in_batches(len(order), batch, step, note)
    return float(total) / len(order), batch


def _seed(run: Run, epoch: int) -> int:
    return run.seed * 1_000_003 + epoch


@torch.inference_mode()
def evaluate(
    learner: TrainableModel, inputs: Inputs, rows: np.ndarray, note: Callable[[str], None]
) -> np.ndarray:
    """Class scores of images as serving sees them, float64 (n, classes)."""
    learner.network.eval()
    found: list[np.ndarray] = []

    def work(start: int, stop: int) -> None:
        with autocast(learner.device, learner.precision):
            scores = learner.network(inputs.clean(torch.from_numpy(rows[start:stop])))
        found.append(scores.float().cpu().numpy().astype(np.float64))

    run_in_batches(len(rows), FORWARD_BATCH[learner.device.type], work, note)
    return np.concatenate(found)


def _make_optimizer(learner: TrainableModel) -> torch.optim.Optimizer:
    groups: list[dict[str, Any]] = []
    for name, parameters in learner.groups:
        rate = learner.rates[name]
        for parameter in parameters:
            parameter.requires_grad_(rate > 0)
        if rate > 0:
            matrices = [parameter for parameter in parameters if parameter.dim() > 1]
            vectors = [parameter for parameter in parameters if parameter.dim() <= 1]
            groups += [
                {'params': matrices, 'peak': rate},
                {'params': vectors, 'peak': rate, 'weight_decay': 0.0},
            ]
    return torch.optim.AdamW(
        [group for group in groups if group['params']], lr=0.0, weight_decay=WEIGHT_DECAY, fused=True
    )


def _curve_point(
    record: History, truth: np.ndarray, epoch: int, loss: float, seconds: float
) -> dict[str, Any]:
    seen = record.logits[-1] if record.logits else None
    return {
        'epoch': epoch + 1,
        'loss': loss,
        'validation_loss': log_loss(seen, truth) if seen is not None else None,
        'accuracy': accuracy(seen, truth) if seen is not None else None,
        'seconds': round(seconds, 3),
    }


def _should_stop(record: History, truth: np.ndarray, run: Run) -> bool:
    """Too long without a better loss. Not in the first half: at high rates the loss rises before it falls."""
    if not run.patience or len(record.logits) < run.epochs / 2:
        return False
    losses = record.losses(truth)
    return len(losses) - 1 - int(np.argmin(losses)) >= run.patience


def _save(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer, record: History) -> None:
    """Network, optimiser and record in one file, written aside and renamed: a killed job finds all of it or the one before."""
    tensors = {f'network/{name}': value for name, value in network.state_dict().items()}
    for index, values in optimizer.state_dict()['state'].items():
        tensors |= {f'optimizer/{index}/{name}': value for name, value in values.items()}
    if record.logits:
        tensors['logits'] = torch.from_numpy(np.stack(record.logits))
    path.parent.mkdir(parents=True, exist_ok=True)
    aside = path.with_name(f'{path.stem}.{uuid.uuid4().hex}.part')
    plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
    save_file(plain, aside, metadata={'curve': json.dumps(record.curve)})
    os.replace(aside, path)


def _resume(path: Path, network: nn.Module, optimizer: torch.optim.Optimizer) -> History:
    if not path.exists():
        return History()
    with safe_open(path, framework='pt') as file:
        names = list(file.keys())
        network.load_state_dict(
            {name[8:]: file.get_tensor(name) for name in names if name.startswith('network/')}
        )
        state: dict[int, dict[str, Tensor]] = {}
        for name in names:
            if name.startswith('optimizer/'):
                _, index, key = name.split('/')
                state.setdefault(int(index), {})[key] = file.get_tensor(name)
        optimizer.load_state_dict({'state': state, 'param_groups': optimizer.state_dict()['param_groups']})
        logits = list(file.get_tensor('logits').numpy()) if 'logits' in names else []
        return History(logits, json.loads(file.metadata()['curve']))
