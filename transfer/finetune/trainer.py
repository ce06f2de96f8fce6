"""Train a network for some epochs on some images, validate it on others after each, and save a checkpoint."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from transfer.features.calibration import calibrated_loss
from transfer.features.metrics import accuracy, log_loss
from transfer.finetune.inputs import Inputs
from transfer.finetune.parallel import ProgressCallback
from transfer.runtime.checkpoints import Checkpoint
from transfer.runtime.device import FORWARD_BATCH, autocast, run_in_batches, seed_dropout, train_dropout_only
from transfer.spec.records import from_json
from transfer.spec.report import EpochMetrics

WEIGHT_DECAY = 0.01  # AdamW's, on weights; not on biases and norms
WARM_UP = 0.2  # share of the run: AdamW's first steps are its wildest, and there is a linear model to lose
SAVE_EVERY = 3.0  # seconds of training that a killed job may lose: cheap epochs need no checkpoint each


@dataclass(frozen=True)
class TrainableModel:
    """A network and its trainable part: `network` takes what the inputs give and returns class scores."""

    model: nn.Module  # all of it
    network: nn.Module
    groups: list[tuple[str, list[nn.Parameter]]]
    rates: dict[str, float]  # learning rate by group; 0: frozen
    device: torch.device
    precision: str
    train_batch_norms: bool  # whether batch norms update their statistics: on large sets only


@dataclass(frozen=True)
class Run:
    """One fold, or the final training on all images."""

    name: str
    train_rows: np.ndarray
    validation_rows: np.ndarray  # may be empty
    epochs: int  # the length of the schedule
    stop: int  # run only so many of them
    patience: int  # epochs without a better validation loss before stopping; 0: never
    batch: int
    seed: int


@dataclass
class History:
    """The epochs of a run so far."""

    logits: list[np.ndarray] = field(default_factory=list)  # of the validation rows, (rows, classes)
    curve: list[EpochMetrics] = field(default_factory=list)

    def losses(self, labels: np.ndarray) -> list[float]:
        """The calibrated log loss of each epoch: overconfidence is corrected later, so it must not choose the
        epoch.
        """
        return [calibrated_loss(logits, labels) for logits in self.logits]


def scale_learning_rate(done: float) -> float:
    """The factor of every group's learning rate when the share `done` (0 to 1) of a run is over: warm-up,
    then cosine to 0.
    """
    if done < WARM_UP:
        return 0.1 + 0.9 * done / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * min(1.0, (done - WARM_UP) / (1 - WARM_UP))))


def train_epochs(
    trainable: TrainableModel,
    inputs: Inputs,
    labels: np.ndarray,
    run: Run,
    folder: Path,
    note: Callable[[str], None],
    on_progress: ProgressCallback,
) -> History:
    """Run the epochs that the checkpoint of that name does not hold yet; the network ends as after the last
    epoch.

    Every epoch has its own random generator, seeded by (seed, epoch), so that an interrupted run ends with
    the same weights as an uninterrupted one.
    """
    optimizer = _make_optimizer(trainable)
    targets = torch.from_numpy(labels).to(trainable.device)
    checkpoint = Checkpoint(folder / f'{run.name}.safetensors', SAVE_EVERY)
    history = _load_history(checkpoint, trainable.network, optimizer)
    batch = run.batch
    for epoch in range(len(history.curve), run.stop):
        if _should_stop(history, labels[run.validation_rows], run):
            break
        start = time.monotonic()

        def report(done: float, epoch: int = epoch) -> None:
            on_progress((epoch + done) / run.stop, history.curve[-1] if history.curve else None)

        generator = torch.Generator(trainable.device).manual_seed(_seed(run, epoch))
        with seed_dropout(trainable.network, generator):
            loss, batch = _train_epoch(trainable, optimizer, inputs, targets, run, epoch, batch, note, report)
        if len(run.validation_rows):
            history.logits.append(evaluate(trainable, inputs, run.validation_rows, note))
        seconds = time.monotonic() - start
        history.curve.append(_measure_epoch(history, labels[run.validation_rows], epoch, loss, seconds))
        _save_history(checkpoint, trainable.network, optimizer, history, now=epoch == run.stop - 1)
        on_progress((epoch + 1) / run.stop, history.curve[-1])
    return history


def _train_epoch(
    trainable: TrainableModel,
    optimizer: torch.optim.Optimizer,
    inputs: Inputs,
    targets: Tensor,
    run: Run,
    epoch: int,
    batch: int,
    note: Callable[[str], None],
    report: Callable[[float], None],
) -> tuple[float, int]:
    """One pass over the training rows; returns the mean loss and the batch size that fitted into memory."""
    if trainable.train_batch_norms:
        trainable.network.train()
    else:
        train_dropout_only(trainable.network)
    # The global generator: of what a large set's whole network drops beside dropout, which is stochastic
    # depth.
    torch.manual_seed(_seed(run, epoch))
    generator = torch.Generator().manual_seed(_seed(run, epoch))
    order = torch.from_numpy(run.train_rows)[torch.randperm(len(run.train_rows), generator=generator)]
    # Read once an epoch: reading it at each step would stop the GPU.
    total = torch.zeros((), device=trainable.device)

    def step(start: int, stop: int) -> None:
        if trainable.train_batch_norms and stop - start == 1:
            return  # a batch of one has no statistics
        rows = order[start:stop]
        for group in optimizer.param_groups:
            group['lr'] = group['peak'] * scale_learning_rate((epoch + start / len(order)) / run.epochs)
        with autocast(trainable.device, trainable.precision):
            scores = trainable.network(inputs.training(rows, epoch, generator))
        loss = nn.functional.cross_entropy(scores.float(), targets[rows.to(targets.device)])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        total.add_(loss.detach() * len(rows))
        report(stop / len(order))

    batch = run_in_batches(len(order), batch, step, note)
    return float(total) / len(order), batch


def _seed(run: Run, epoch: int) -> int:
    return run.seed * 1_000_003 + epoch


@torch.inference_mode()
def evaluate(
    trainable: TrainableModel, inputs: Inputs, rows: np.ndarray, note: Callable[[str], None]
) -> np.ndarray:
    """Class scores of images without augmentation, as in serving; float64 (n, classes)."""
    trainable.network.eval()
    logits: list[np.ndarray] = []

    def predict(start: int, stop: int) -> None:
        with autocast(trainable.device, trainable.precision):
            scores = trainable.network(inputs.clean(torch.from_numpy(rows[start:stop])))
        logits.append(scores.float().cpu().numpy().astype(np.float64))

    run_in_batches(len(rows), FORWARD_BATCH[trainable.device.type], predict, note)
    return np.concatenate(logits)


def _make_optimizer(trainable: TrainableModel) -> torch.optim.Optimizer:
    groups: list[dict[str, object]] = []
    for name, parameters in trainable.groups:
        rate = trainable.rates[name]
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


def _measure_epoch(
    history: History, labels: np.ndarray, epoch: int, loss: float, seconds: float
) -> EpochMetrics:
    logits = history.logits[-1] if history.logits else None
    return EpochMetrics(
        epoch=epoch + 1,
        loss=loss,
        accuracy=accuracy(logits, labels) if logits is not None else None,
        validation_loss=log_loss(logits, labels) if logits is not None else None,
        seconds=round(seconds, 3),
    )


def _should_stop(history: History, labels: np.ndarray, run: Run) -> bool:
    """Too long without a better loss.

    Not in the first half: at high learning rates the loss rises before it falls.
    """
    if not run.patience or len(history.logits) < run.epochs / 2:
        return False
    losses = history.losses(labels)
    return len(losses) - 1 - int(np.argmin(losses)) >= run.patience


def _save_history(
    checkpoint: Checkpoint,
    network: nn.Module,
    optimizer: torch.optim.Optimizer,
    history: History,
    *,
    now: bool,
) -> None:
    progress = {'curve': [point.to_json() for point in history.curve]}
    logits = {'logits': torch.from_numpy(np.stack(history.logits))} if history.logits else {}
    checkpoint.save(network, optimizer, progress, logits, now=now)


def _load_history(checkpoint: Checkpoint, network: nn.Module, optimizer: torch.optim.Optimizer) -> History:
    state = checkpoint.load(network, optimizer)
    if state is None:
        return History()
    logits = list(state.tensors['logits'].numpy()) if 'logits' in state.tensors else []
    return History(logits, [from_json(EpochMetrics, point) for point in state.progress['curve']])
