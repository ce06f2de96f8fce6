"""Finetuning a source, with an estimate of the result from images it has not seen, and kept only if it beats the linear head.

The estimate: the whole method (linear head, then finetuning from it: Kumar et al. 2022) is repeated on k folds, and every
image is scored by the run that did not see it. Where the first layers are frozen, their activations are computed once for all
runs. Where only the last of them learn, k = spec.folds is cheap; otherwise k is 3 (each run then has two thirds of the images,
so the estimate leans to the low side). One number, the epoch to stop at, is read off the same out-of-fold scores of all folds:
choosing among some ten epochs on all images flatters the accuracy by far less than its interval. So does the scale of
the rates, one of two, which the first fold decides.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from transfer.data.augment import Augmentation
from transfer.data.cache import Pixels
from transfer.data.splits import assign_folds
from transfer.features.calibration import calibrated_loss
from transfer.features.extract import forward_precision
from transfer.features.linear_probe import LinearHead, Probe, fit_probe
from transfer.features.metrics import accuracy, paired_gain
from transfer.features.network import Machine, Network
from transfer.finetune import trainer
from transfer.finetune.inputs import Inputs, PixelInputs, cache_activations, pixel_inputs
from transfer.finetune.parallel import ProgressCallback, run_parallel
from transfer.finetune.plan import LIGHT, LayerGroup, Plan
from transfer.runtime.device import autocast, choose_precision, use_threads
from transfer.spec.train_spec import TrainSpec

FOLDS_OF_MANY = 3  # runs of the estimate when more than the last layers learn
BATCH_STATISTICS_FROM = 2_000  # images: from there on batch norms learn their statistics
PARALLEL_RUNS = 2  # runs at a time on a processor; each has a copy of the network
RATE_SCALES = (1.0, 3.0)  # of the plan's rates, tried on the first fold
TIMED_IMAGES = 8  # images of the step that is timed for the choice of a precision
GIVE_UP_ERRORS = 1.64  # standard errors by which finetuning must be behind to be given up before all folds are through (5 %)


@dataclass(frozen=True)
class FinetuneTask:
    """What is learned: the images of one manifest as the source sees them."""

    network: Network
    pixels: Pixels
    features: np.ndarray  # what the source's head sees of them, (n, d)
    labels: np.ndarray  # int (n,)
    classes: int
    spec: TrainSpec
    plan: Plan
    macs: float = 0.0  # multiply-adds of one image, where they decide (on a CPU)
    reached: float = 0.0  # out-of-fold accuracy of the linear head that is there already: the result is not to fall behind it


@dataclass(frozen=True)
class FinetuneResult:
    """What finetuning came to. `model` is None when the linear head is kept."""

    model: nn.Module | None
    logits: (
        np.ndarray
    )  # of the finetuned network, out-of-fold (n, classes); rows of folds that were not run are NaN
    why: str
    curve: list[dict[str, Any]]
    facts: dict[str, Any]  # epochs, precision, batch, cached layers: for the report


@dataclass(frozen=True)
class RunConfig:
    """A run, the linear head that it starts from, and the scale of its rates."""

    run: trainer.Run
    head: LinearHead
    scale: float


def list_layer_groups(network: Network) -> list[LayerGroup]:
    groups = network.architecture.layer_groups(network.model)
    return [
        LayerGroup(name, sum(parameter.numel() for parameter in parameters)) for name, parameters in groups
    ]


def attach_head(network: Network, classes: int, head: LinearHead) -> nn.Module:
    """A copy of the source with the linear head in place of its own: one network, ready to be sealed or finetuned."""
    model = copy.deepcopy(network.model)
    layer = network.architecture.replace_head(model, classes)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(head.weight))
        layer.bias.copy_(torch.from_numpy(head.bias))
    return model.eval()


def finetune(task: FinetuneTask, machine: Machine, folder: Path, beat: ProgressCallback) -> FinetuneResult:
    """Estimate on folds, compare with the linear head on the same images, and train on everything if it pays."""
    folder.mkdir(parents=True, exist_ok=True)
    bench = FoldRunner(task, machine, folder, beat)
    folds, probe = bench.folds_and_probe()
    k = int(folds.max()) + 1
    scale, record = _run_first_fold(bench, folds, k, probe)
    records = [record]
    best = _best_epoch(records, folds, task.labels)
    for fold in range(1, k, bench.lanes):
        if _is_hopeless(_collect_scores(records, folds, best, task), probe.logits, task.labels, folds < fold):
            break
        # The first fold stops early by its own loss; the others run just as long, so that epochs can be averaged.
        some = range(fold, min(fold + bench.lanes, k))
        attempts = [
            bench.fold(one, folds, probe.fold_heads[one], scale, len(record.curve), 0) for one in some
        ]
        records += bench.side_by_side(
            attempts, (fold + 1) / (k + 2), len(attempts) / (k + 2), f'Finetuning: {_name_folds(some)} of {k}'
        )
        best = _best_epoch(records, folds, task.labels)
    logits = _collect_scores(records, folds, best, task)
    seen = ~np.isnan(logits[:, 0])
    kept, why = compare(logits[seen], probe.logits[seen], task.labels[seen], task.reached)
    rates = {group: rate * scale for group, rate in task.plan.rates.items()}
    facts = bench.facts | {
        'rates': rates,
        'groups': list(rates),
        'folds': k,
        'folds_run': len(records),
        'best_epoch': best + 1,
    }
    model = bench.final(probe.head, scale, best + 1, (k + 1) / (k + 2)) if kept else None
    return FinetuneResult(model, logits, why, _average_curves(records), facts)


def _run_first_fold(
    bench: FoldRunner, folds: np.ndarray, k: int, probe: Probe
) -> tuple[float, trainer.History]:
    """The first fold at each of the scales, unless rates were given: a source near the target wants the lower rates, a distant
    one the higher. The scale with the better calibrated loss is used for all folds; that choice of two looks at one fold only.
    """
    task, held = bench.task, folds == 0
    scales = (1.0,) if task.spec.rates else RATE_SCALES
    attempts = [
        bench.fold(0, folds, probe.fold_heads[0], scale, task.plan.epochs, task.spec.patience)
        for scale in scales
    ]
    records = bench.side_by_side(attempts, 0.0, len(attempts) / (k + 2), f'Finetuning: fold 1 of {k}')
    losses = [min(record.losses(task.labels[held])) for record in records]
    best = int(np.argmin(losses))
    return scales[best], records[best]


def _name_folds(folds: range) -> str:
    return f'fold {folds[0] + 1}' if len(folds) == 1 else f'folds {folds[0] + 1} and {folds[-1] + 1}'


def _collect_scores(
    records: list[trainer.History], folds: np.ndarray, epoch: int, task: FinetuneTask
) -> np.ndarray:
    """Out-of-fold scores after that epoch, (n, classes); NaN for the images of folds that were not run."""
    logits = np.full((len(task.labels), task.classes), np.nan)
    for fold, record in enumerate(records):
        logits[folds == fold] = record.logits[epoch]
    return logits


def compare(
    finetuned: np.ndarray, linear: np.ndarray, labels: np.ndarray, reached: float = 0.0
) -> tuple[bool, str]:
    """Whether the finetuned network is kept, and a sentence why; logits (n, classes) on the same images, seen by neither,
    from trainings on the same others. At equal accuracy the calibrated log loss decides. `reached`: the out-of-fold accuracy
    of the linear head that serves already, perhaps from more folds: nobody shall get a worse figure for having waited.
    """
    gained, lost = paired_gain(finetuned, linear, labels)
    kept = gained > lost or (
        gained == lost and calibrated_loss(finetuned, labels) < calibrated_loss(linear, labels)
    )
    right = accuracy(finetuned, labels)
    both = f'{right:.1%} right after finetuning, {accuracy(linear, labels):.1%} by a linear head'
    told = f'Of {len(labels)} images not seen in training, {both} that learned from the same images'
    told += f' ({gained} set right, {lost} set wrong)'
    if kept and right < reached:
        return (
            False,
            f'{told}, but a linear head that learns from more of them gets {reached:.1%} right, so the linear head is kept.',
        )
    return kept, f'{told}, so the {"finetuned network" if kept else "linear head"} is kept.'


class FoldRunner:
    """What all runs of one finetuning share."""

    def __init__(self, task: FinetuneTask, machine: Machine, folder: Path, beat: ProgressCallback) -> None:
        self.task, self.machine, self.folder, self.beat = task, machine, folder, beat
        spec = task.spec
        images = pixel_inputs(task.pixels, task.network.source, Augmentation.of(spec), machine.device)
        self.inputs: Inputs = images
        self.whole = True
        self.live = len(task.labels) >= BATCH_STATISTICS_FROM
        # One run fills a GPU; and what a large set's whole network drops comes from torch's own chance, which runs would share.
        alone = machine.device.type != 'cpu' or self.live or torch.get_num_threads() < PARALLEL_RUNS
        self.lanes = 1 if alone else PARALLEL_RUNS
        self.base = task.network.model.to(machine.device).to(memory_format=torch.channels_last)
        names = list(task.plan.rates)
        frozen = names[: names.index(task.plan.first)]
        if frozen:
            self._cache(images)
        self.precision = self._choose_precision()
        self.facts: dict[str, Any] = {
            'precision': self.precision,
            'cached_layers': [] if self.whole else frozen,
        }

    def _cache(self, images: PixelInputs) -> None:
        prefix, _ = self.task.network.architecture.split(self.base, self.task.plan.first)
        precision = forward_precision(self.task.network, self.task.pixels, self.machine)
        cached = cache_activations(
            prefix,
            images,
            precision,
            self.task.spec.seed,
            self.machine,
            lambda done: self.beat(0.1 * done, {}),
        )
        if cached is not None:
            self.inputs, self.whole = cached, False

    def _choose_precision(self) -> str:
        learner = self._learner(LinearHead(*_zero_head(self.task)), 'float32')
        rows = torch.arange(min(TIMED_IMAGES, len(self.task.labels)))
        batch = self.inputs.clean(rows)

        def step(precision: str) -> None:
            learner.network.train(False)
            with autocast(self.machine.device, precision):
                scores: Tensor = learner.network(batch)
            scores.float().square().mean().backward()

        key = f'finetune {self.task.network.architecture.name} {self.task.pixels.side} {self.task.plan.first}'
        memory = self.machine.cache / 'precision.json'
        return choose_precision(self.task.spec.precision, key, self.machine.device, step, memory)

    def _learner(self, head: LinearHead, precision: str, scale: float = 1.0) -> trainer.TrainableModel:
        architecture, plan = self.task.network.architecture, self.task.plan
        model = attach_head(self.task.network, self.task.classes, head).to(self.machine.device)
        network = model if self.whole else architecture.split(model, plan.first)[1]
        groups = architecture.layer_groups(model)
        learning = (
            groups
            if self.whole
            else [group for group in groups if group[0] in list(plan.rates)[self._first :]]
        )
        rates = {group: rate * scale for group, rate in plan.rates.items()}
        return trainer.TrainableModel(
            model, network, learning, rates, self.machine.device, precision, self.live
        )

    @property
    def _first(self) -> int:
        return list(self.task.plan.rates).index(self.task.plan.first)

    def folds_and_probe(self) -> tuple[np.ndarray, Probe]:
        task = self.task
        k = (
            task.spec.folds
            if task.plan.name == 'last' and not self.whole
            else min(FOLDS_OF_MANY, task.spec.folds)
        )
        folds = assign_folds(task.labels, list(task.pixels.digests), k, task.spec.seed, tiny=0)
        return folds, fit_probe(task.features, task.labels, task.classes, folds)

    def fold(
        self, fold: int, folds: np.ndarray, head: LinearHead, scale: float, stop: int, patience: int
    ) -> RunConfig:
        """One fold left out, to be run by `side_by_side`."""
        held, rest = np.flatnonzero(folds == fold), np.flatnonzero(folds != fold)
        spec = self.task.spec
        name = f'fold-{fold + 1}-x{scale:g}'
        run = trainer.Run(name, rest, held, self.task.plan.epochs, stop, patience, spec.batch, spec.seed)
        return RunConfig(run, head, scale)

    def side_by_side(
        self, attempts: list[RunConfig], start: float, share: float, said: str
    ) -> list[trainer.History]:
        """Do their runs. `start`: share of the whole finetuning that lies behind; `share`: theirs."""

        def tell(done: float, facts: dict[str, Any]) -> None:
            seen = {key: facts[key] for key in ('epoch', 'loss', 'accuracy', 'force') if key in facts}
            self.beat(
                0.1 + 0.9 * (start + share * done), {'message': said, 'epochs': attempts[0].run.stop} | seen
            )

        learners = [self._learner(attempt.head, self.precision, attempt.scale) for attempt in attempts]
        runs = [
            partial(self._train, learner, attempt.run)
            for learner, attempt in zip(learners, attempts, strict=True)
        ]
        return run_parallel(runs, self.lanes, tell)

    def final(self, head: LinearHead, scale: float, stop: int, start: float = 0.0) -> nn.Module:
        """The network finetuned on every image, stopped after the epoch that the folds found best."""
        everything, spec = np.arange(len(self.task.labels)), self.task.spec
        run = trainer.Run(
            'final', everything, everything[:0], self.task.plan.epochs, stop, 0, spec.batch, spec.seed
        )
        said = {'message': 'Finetuning on all images', 'epochs': stop}
        learner = self._learner(head, self.precision, scale)
        with use_threads(1 if 0 < self.task.macs < LIGHT else torch.get_num_threads()):
            self._train(
                learner, run, lambda done, _: self.beat(0.1 + 0.9 * (start + (1 - start) * done), said)
            )
        return learner.model.cpu().eval()

    def _train(
        self, learner: trainer.TrainableModel, run: trainer.Run, tell: ProgressCallback
    ) -> trainer.History:
        return trainer.train_epochs(
            learner, self.inputs, self.task.labels, run, self.folder, self.machine.note, tell
        )


def _zero_head(task: FinetuneTask) -> tuple[np.ndarray, np.ndarray]:
    return np.zeros((task.classes, task.features.shape[1]), np.float32), np.zeros(task.classes, np.float32)


def _best_epoch(records: list[trainer.History], folds: np.ndarray, labels: np.ndarray) -> int:
    """The epoch with the least calibrated log loss over the held-out images of all folds so far."""
    truth = np.concatenate([labels[folds == fold] for fold in range(len(records))])
    epochs = zip(*(record.logits for record in records), strict=True)
    return int(np.argmin([calibrated_loss(np.concatenate(logits), truth) for logits in epochs]))


def _is_hopeless(finetuned: np.ndarray, linear: np.ndarray, labels: np.ndarray, seen: np.ndarray) -> bool:
    gained, lost = paired_gain(finetuned[seen], linear[seen], labels[seen])
    return lost - gained > GIVE_UP_ERRORS * (lost + gained) ** 0.5


def _average_curves(records: list[trainer.History]) -> list[dict[str, Any]]:
    """The folds' curves averaged, one entry an epoch; seconds are those of one fold."""
    rows = zip(*(record.curve for record in records), strict=True)
    return [
        {'epoch': row[0]['epoch']}
        | {
            name: float(np.mean([entry[name] for entry in row]))
            for name in ('loss', 'validation_loss', 'accuracy', 'seconds')
        }
        for row in rows
    ]
