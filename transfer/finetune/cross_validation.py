"""Finetune a source model and estimate the result by cross-validation, so that it can be compared.

The estimate: the whole method (linear head, then finetuning from it: Kumar et al. 2022) is repeated on k
folds, and every image is scored by the run that was not trained on it. Where the first layers are frozen,
their activations are computed once for all runs. Where only the last of them are trained, k = spec.folds is
cheap; otherwise k is 3 (each run then has two thirds of the images, so the estimate leans to the low side).
One number, the epoch to stop at, is read off the same out-of-fold scores of all folds: choosing among some
ten epochs on all images flatters the accuracy by far less than its interval. So does the scale of the
learning rates, one of two, which the first fold decides.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from transfer.data.augment import Augmentation
from transfer.data.cache import Pixels
from transfer.data.splits import assign_folds
from transfer.features.calibration import calibrated_loss
from transfer.features.extract import forward_precision
from transfer.features.linear_probe import LinearHead, Probe, fit_probe
from transfer.features.metrics import paired_gain
from transfer.features.network import Machine, Network
from transfer.finetune import trainer
from transfer.finetune.inputs import Inputs, PixelInputs, cache_activations, make_pixel_inputs
from transfer.finetune.parallel import ProgressCallback, run_parallel
from transfer.finetune.plan import LIGHT, LayerGroup, Plan
from transfer.runtime.device import autocast, choose_precision, use_threads
from transfer.spec.report import EpochMetrics
from transfer.spec.train_spec import TrainSpec
from transfer.zoo.networks.multi_stage import MultiStageNetwork

FOLDS_OF_MANY = 3  # runs of the estimate when more than the last layers are finetuned
BATCH_STATISTICS_FROM = 2_000  # images: from there on batch norms learn their statistics
PARALLEL_RUNS = 2  # runs at a time on a CPU; each has a copy of the network
RATE_SCALES = (1.0, 3.0)  # of the plan's learning rates, tried on the first fold
TIMED_IMAGES = 8  # of the step that is timed for the choice of a precision
# Standard errors by which finetuning must be behind to be given up before all folds are through (5 %).
GIVE_UP_ERRORS = 1.64
CACHING_SHARE = 0.1  # of a finetuning's progress: computing the frozen layers' activations


@dataclass(frozen=True)
class FinetuneTask:
    """What is finetuned on what: one source model, and the images of one manifest at its input side."""

    network: Network
    pixels: Pixels
    features: np.ndarray  # inputs of the source's head, (n, d)
    labels: np.ndarray  # int (n,)
    classes: int
    spec: TrainSpec
    plan: Plan
    groups: tuple[str, ...]  # of each image: those of one are in one fold
    macs: float = 0.0  # multiply-adds of one image, where they matter (on a CPU)


@dataclass(frozen=True)
class FinetuneFacts:
    """How a finetuning went, for the report."""

    precision: str
    cached_layers: tuple[str, ...]
    rates: dict[str, float]  # learning rate by group, as scaled
    folds: int
    folds_run: int
    best_epoch: int


@dataclass(frozen=True)
class FoldScores:
    """Scores of images by trainings that had not seen them, each on the same other images."""

    rows: np.ndarray  # int (m,): the images; all, unless finetuning was given up before its last fold
    folds: np.ndarray  # int (n,): the fold of every image
    finetuned: np.ndarray  # logits (m, classes)
    linear: np.ndarray  # logits (m, classes) of the heads that finetuning started from


# Whether the finetuned network is part of what will be served, and a sentence why.
Decide = Callable[[FoldScores], tuple[bool, str]]


@dataclass(frozen=True)
class FinetuneResult:
    """The finetuned network with its estimate. `model` is None when it is not kept."""

    model: nn.Module | None
    logits: np.ndarray  # out-of-fold (n, classes); rows of folds that were not run are NaN
    why: str
    curve: tuple[EpochMetrics, ...] = ()
    facts: FinetuneFacts | None = None  # None when nothing was finetuned


@dataclass(frozen=True)
class EpochProgress:
    """A progress report of finetuning, as ProgressTracker.update takes it."""

    message: str | None = None  # None: as before
    epoch: int | None = None
    epochs: int | None = None
    loss: float | None = None
    accuracy: float | None = None
    force: bool = False  # an epoch has just ended


EpochCallback = Callable[[float, EpochProgress], None]  # with the share of the whole finetuning that is done


@dataclass(frozen=True)
class RunConfig:
    """A run, the linear head that it starts from, and the scale of its learning rates."""

    run: trainer.Run
    head: LinearHead
    scale: float


def list_layer_groups(network: Network) -> list[LayerGroup]:
    """The network's layer groups with the number of their parameters, from input to output."""
    groups = network.architecture.layer_groups(network.model)
    return [
        LayerGroup(name, sum(parameter.numel() for parameter in parameters)) for name, parameters in groups
    ]


def attach_head(network: Network, classes: int, head: LinearHead) -> nn.Module:
    """A copy of the source model with the linear head in place of its own."""
    model = copy.deepcopy(network.model)
    layer = network.architecture.replace_head(model, classes)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(head.weight))
        layer.bias.copy_(torch.from_numpy(head.bias))
    return model.eval()


def attach_stage_head(network: Network, classes: int, head: LinearHead, last: LinearHead) -> nn.Module:
    """A copy of the source model under a linear head over several of its stages.

    `last`: the head over its last stage, which it keeps beside it.
    """
    model = MultiStageNetwork(
        network.architecture, attach_head(network, classes, last), head.weight.shape[1], classes
    )
    with torch.no_grad():
        model.stage_head.weight.copy_(torch.from_numpy(head.weight))
        model.stage_head.bias.copy_(torch.from_numpy(head.bias))
    return model.eval()


def finetune(
    task: FinetuneTask, machine: Machine, folder: Path, on_progress: EpochCallback, decide: Decide
) -> FinetuneResult:
    """Estimate on folds, and finetune on all images if `decide` keeps the finetuned network.

    `folder` holds the checkpoints of all runs.
    """
    folder.mkdir(parents=True, exist_ok=True)
    runner = FoldRunner(task, machine, folder, on_progress)
    folds, probe = runner.assign_folds_and_probe()
    k = int(folds.max()) + 1
    scale, history = _run_first_fold(runner, folds, k, probe)
    histories = [history]
    best = _best_epoch(histories, folds, task.labels)
    for fold in range(1, k, runner.workers):
        logits = _collect_scores(histories, folds, best, task)
        if _is_hopeless(logits, probe.logits, task.labels, folds < fold):
            break
        # The first fold stops early by its own loss; the others run just as long, so that epochs can be
        # averaged.
        some = range(fold, min(fold + runner.workers, k))
        configs = [
            runner.make_fold(one, folds, probe.fold_heads[one], scale, len(history.curve), 0) for one in some
        ]
        message = f'Finetuning: {_name_folds(some)} of {k}'
        histories += runner.run_folds(configs, (fold + 1) / (k + 2), len(configs) / (k + 2), message)
        best = _best_epoch(histories, folds, task.labels)
    logits = _collect_scores(histories, folds, best, task)
    scored = ~np.isnan(logits[:, 0])
    is_kept, why = decide(FoldScores(np.flatnonzero(scored), folds, logits[scored], probe.logits[scored]))
    facts = FinetuneFacts(
        precision=runner.precision,
        cached_layers=tuple(runner.cached_layers),
        rates={group: rate * scale for group, rate in task.plan.rates.items()},
        folds=k,
        folds_run=len(histories),
        best_epoch=best + 1,
    )
    model = runner.train_final(probe.head, scale, best + 1, (k + 1) / (k + 2)) if is_kept else None
    return FinetuneResult(model, logits, why, _average_curves(histories), facts)


def _run_first_fold(
    runner: FoldRunner, folds: np.ndarray, k: int, probe: Probe
) -> tuple[float, trainer.History]:
    """Run the first fold at each of the scales; return the better scale and its history.

    Learning rates that were given are not scaled. A source near the target wants the lower rates, a distant
    one the higher. The scale with the better calibrated loss is used for all folds; that choice of two looks
    at one fold only.
    """
    task = runner.task
    scales = (1.0,) if task.spec.rates else RATE_SCALES
    configs = [
        runner.make_fold(0, folds, probe.fold_heads[0], scale, task.plan.epochs, task.spec.patience)
        for scale in scales
    ]
    histories = runner.run_folds(configs, 0.0, len(configs) / (k + 2), f'Finetuning: fold 1 of {k}')
    losses = [min(history.losses(task.labels[folds == 0])) for history in histories]
    best = int(np.argmin(losses))
    return scales[best], histories[best]


def _name_folds(folds: range) -> str:
    return f'fold {folds[0] + 1}' if len(folds) == 1 else f'folds {folds[0] + 1} and {folds[-1] + 1}'


def _collect_scores(
    histories: list[trainer.History], folds: np.ndarray, epoch: int, task: FinetuneTask
) -> np.ndarray:
    """Out-of-fold scores after that epoch, (n, classes); NaN for the images of folds that were not run."""
    logits = np.full((len(task.labels), task.classes), np.nan)
    for fold, history in enumerate(histories):
        logits[folds == fold] = history.logits[epoch]
    return logits


class FoldRunner:
    """What all runs of one finetuning share."""

    def __init__(
        self, task: FinetuneTask, machine: Machine, folder: Path, on_progress: EpochCallback
    ) -> None:
        self.task, self.machine, self.folder, self.on_progress = task, machine, folder, on_progress
        spec = task.spec
        images = make_pixel_inputs(task.pixels, task.network.source, Augmentation.of(spec), machine.device)
        self.inputs: Inputs = images
        self.train_batch_norms = len(task.labels) >= BATCH_STATISTICS_FROM
        # One run fills a GPU; and stochastic depth, of a large set's whole network, draws from torch's global
        # generator, which parallel runs would share.
        is_alone = (
            machine.device.type != 'cpu' or self.train_batch_norms or torch.get_num_threads() < PARALLEL_RUNS
        )
        self.workers = 1 if is_alone else PARALLEL_RUNS
        self.backbone = task.network.model.to(machine.device).to(memory_format=torch.channels_last)
        self.groups = list(task.plan.rates)
        self.first = self.groups.index(task.plan.first)  # index of the first group that is finetuned
        self.cached_layers: list[str] = []
        if self.first:
            self._cache_activations(images)
        self.precision = self._choose_precision()

    def _cache_activations(self, images: PixelInputs) -> None:
        prefix, _ = self.task.network.architecture.split(self.backbone, self.task.plan.first)
        precision = forward_precision(self.task.network, self.task.pixels, self.machine)
        cached = cache_activations(
            prefix,
            images,
            precision,
            self.task.spec.seed,
            self.machine,
            lambda done: self.on_progress(CACHING_SHARE * done, EpochProgress()),
        )
        if cached is not None:
            self.inputs, self.cached_layers = cached, self.groups[: self.first]

    def _choose_precision(self) -> str:
        classes, width = self.task.classes, self.task.features.shape[1]
        head = LinearHead(np.zeros((classes, width), np.float32), np.zeros(classes, np.float32))
        trainable = self._make_trainable(head, 'float32')
        batch = self.inputs.clean(torch.arange(min(TIMED_IMAGES, len(self.task.labels))))

        def step(precision: str) -> None:
            trainable.network.train(False)
            with autocast(self.machine.device, precision):
                scores: Tensor = trainable.network(batch)
            scores.float().square().mean().backward()

        key = f'finetune {self.task.network.architecture.name} {self.task.pixels.side} {self.task.plan.first}'
        memory = self.machine.cache / 'precision.json'
        return choose_precision(self.task.spec.precision, key, self.machine.device, step, memory)

    def _make_trainable(self, head: LinearHead, precision: str, scale: float = 1.0) -> trainer.TrainableModel:
        architecture, plan = self.task.network.architecture, self.task.plan
        model = attach_head(self.task.network, self.task.classes, head).to(self.machine.device)
        network, groups = model, architecture.layer_groups(model)
        if self.cached_layers:
            network = architecture.split(model, plan.first)[1]
            groups = [group for group in groups if group[0] in self.groups[self.first :]]
        rates = {group: rate * scale for group, rate in plan.rates.items()}
        return trainer.TrainableModel(
            model, network, groups, rates, self.machine.device, precision, self.train_batch_norms
        )

    def assign_folds_and_probe(self) -> tuple[np.ndarray, Probe]:
        """The fold of every image, int (n,), and the linear heads that the runs start from."""
        task = self.task
        is_cheap = task.plan.name == 'last' and bool(self.cached_layers)
        k = task.spec.folds if is_cheap else min(FOLDS_OF_MANY, task.spec.folds)
        folds = assign_folds(task.labels, task.groups, k, task.spec.seed, tiny=0)
        return folds, fit_probe(task.features, task.labels, task.classes, folds)

    def make_fold(
        self, fold: int, folds: np.ndarray, head: LinearHead, scale: float, stop: int, patience: int
    ) -> RunConfig:
        """The run that is trained without that fold and validated on it, for `run_folds`."""
        train_rows, validation_rows = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        spec = self.task.spec
        name = f'fold-{fold + 1}-x{scale:g}'
        run = trainer.Run(
            name, train_rows, validation_rows, self.task.plan.epochs, stop, patience, spec.batch, spec.seed
        )
        return RunConfig(run, head, scale)

    def run_folds(
        self, configs: list[RunConfig], start: float, share: float, message: str
    ) -> list[trainer.History]:
        """Do the runs, in parallel on a CPU.

        `start`: share of the whole finetuning that is done before; `share`: theirs.
        """
        report = self._report_epochs(start, share, message, configs[0].run.stop)
        trainables = [self._make_trainable(config.head, self.precision, config.scale) for config in configs]
        runs = [
            partial(self._train, trainable, config.run)
            for trainable, config in zip(trainables, configs, strict=True)
        ]
        return run_parallel(runs, self.workers, report)

    def train_final(self, head: LinearHead, scale: float, stop: int, start: float = 0.0) -> nn.Module:
        """The network finetuned on every image, stopped after the epoch that the folds found best."""
        rows, spec = np.arange(len(self.task.labels)), self.task.spec
        run = trainer.Run('final', rows, rows[:0], self.task.plan.epochs, stop, 0, spec.batch, spec.seed)
        report = self._report_epochs(start, 1 - start, 'Finetuning on all images', stop)
        trainable = self._make_trainable(head, self.precision, scale)
        with use_threads(1 if 0 < self.task.macs < LIGHT else torch.get_num_threads()):
            self._train(trainable, run, lambda done, _: report(done, None))
        return trainable.model.cpu().eval()

    def _report_epochs(self, start: float, share: float, message: str, epochs: int) -> ProgressCallback:
        last_epoch = 0

        def report(done: float, point: EpochMetrics | None) -> None:
            nonlocal last_epoch
            progress = EpochProgress(message, epochs=epochs)
            if point is not None:
                progress = dataclasses.replace(
                    progress,
                    epoch=point.epoch,
                    loss=point.loss,
                    accuracy=point.accuracy,
                    force=point.epoch != last_epoch,
                )
                last_epoch = point.epoch
            self.on_progress(CACHING_SHARE + (1 - CACHING_SHARE) * (start + share * done), progress)

        return report

    def _train(
        self, trainable: trainer.TrainableModel, run: trainer.Run, report: ProgressCallback
    ) -> trainer.History:
        return trainer.train_epochs(
            trainable, self.inputs, self.task.labels, run, self.folder, self.machine.note, report
        )


def _best_epoch(histories: list[trainer.History], folds: np.ndarray, labels: np.ndarray) -> int:
    """The epoch with the least calibrated log loss over the validation images of all folds so far."""
    targets = np.concatenate([labels[folds == fold] for fold in range(len(histories))])
    epochs = zip(*(history.logits for history in histories), strict=True)
    return int(np.argmin([calibrated_loss(np.concatenate(logits), targets) for logits in epochs]))


def _is_hopeless(finetuned: np.ndarray, linear: np.ndarray, labels: np.ndarray, scored: np.ndarray) -> bool:
    gained, lost = paired_gain(finetuned[scored], linear[scored], labels[scored])
    return lost - gained > GIVE_UP_ERRORS * (lost + gained) ** 0.5


def _average_curves(histories: list[trainer.History]) -> tuple[EpochMetrics, ...]:
    """The folds' curves averaged, one entry an epoch; seconds are those of one fold."""
    names = ('loss', 'validation_loss', 'accuracy', 'seconds')
    epochs = zip(*(history.curve for history in histories), strict=True)
    return tuple(
        EpochMetrics(
            epoch=points[0].epoch,
            **{name: float(np.mean([getattr(point, name) for point in points])) for name in names},
        )
        for points in epochs
    )
