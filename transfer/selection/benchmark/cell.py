"""Fill one cell: finetune a source on a target, test it on held-out images, and measure what predicts
that."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from p2l.transferability import knn_accuracy, leep, logme
from transfer.data.cache import Pixels, open_pixels
from transfer.data.splits import assign_folds
from transfer.features.extract import extract_features_uncached, last_layer
from transfer.features.linear_probe import Probe, fit_probe
from transfer.features.metrics import accuracy
from transfer.features.network import Machine, Network, count_multiply_adds
from transfer.finetune.cross_validation import FinetuneTask, FoldRunner, list_layer_groups
from transfer.finetune.plan import HEAVY, LayerGroup, Plan, choose_plan
from transfer.runtime.device import FORWARD_BATCH, normalise, run_in_batches, to_float_images
from transfer.runtime.softmax import softmax
from transfer.selection.benchmark.targets import BenchmarkTarget, HeldOutSplit
from transfer.spec.train_spec import SourceModelSpec, TrainSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture


@dataclass(frozen=True)
class BenchmarkSetup:
    """What all cells of one matrix share; a matrix started with another setup is not continued."""

    per_class: int  # images of a class to learn from
    seeds: int
    side: int  # input side of every source, in pixels; 0: each one's own
    plan: str  # of the product's finetuning (transfer.finetune.plan)
    scale: float  # of the plan's rates
    device: str
    epochs: int = 0  # of each finetuning; 0: as many as the product's schedule takes
    first_seed: int = 0
    spares: bool = True  # a CPU does less with a heavy network, as in a training; older evaluations did not


def run_cell(
    target: BenchmarkTarget,
    split: HeldOutSplit,
    source: SourceModelSpec,
    seed: int,
    setup: BenchmarkSetup,
    machine: Machine,
) -> dict[str, object]:
    """Finetune once and test.

    Seconds are CPU time on a CPU, so that other processes do not count.
    """
    timer = _StepTimer(machine.device)
    network = Network(source, architecture(source.architecture), load(source))
    whole = open_pixels(target.manifest, source.side, machine.cache / 'pixels', machine.on_progress)
    labels = np.array([image.label for image in target.manifest.images])
    pixels, test_pixels = whole.rows(split.train), whole.rows(split.test)
    timer.lap('load')
    # First, so that the choice of a precision is not timed below.
    test_features = last_layer(network, extract_features_uncached(network, test_pixels, machine))
    timer.lap('test_features')
    features = last_layer(network, extract_features_uncached(network, pixels, machine))
    timer.lap('features')
    known, probe = _measure_without_finetuning(network, pixels, features, labels[split.train], machine, timer)
    macs = count_multiply_adds(network) if setup.spares and machine.device.type == 'cpu' else 0.0
    timer.lap('count')
    plan, model = _finetune_once(
        network, pixels, features, labels[split.train], probe, macs, seed, setup, machine
    )
    timer.lap('finetune')
    test_labels = labels[split.test]
    logits = predict_scores(model, source, test_pixels, machine)
    timer.lap('evaluate')
    linear = probe.head.logits(test_features)
    return {
        'target': target.name,
        'source': source.name,
        'seed': seed,
        'classes': len(target.manifest.labels),
        'train_images': len(split.train),
        'test_images': len(split.test),
        'accuracy': accuracy(logits, test_labels),
        'correct': encode_hits(logits, test_labels),
        'linear': accuracy(linear, test_labels),
        **known,
        'epochs': plan.epochs,
        'macs': macs,
        'parameters': sum(parameter.numel() for parameter in network.model.parameters()),
        'seconds': timer.seconds,
    }


def encode_hits(logits: np.ndarray, labels: np.ndarray) -> str:
    """One character an image, 1 where the prediction is right: for paired comparisons of sources."""
    return ''.join('1' if hit else '0' for hit in logits.argmax(1) == labels)


def predict_scores(model: nn.Module, source: SourceModelSpec, pixels: Pixels, machine: Machine) -> np.ndarray:
    """Class scores as serving gives them, float64 (n, classes)."""
    found: list[np.ndarray] = []
    model = model.to(machine.device).eval()

    @torch.inference_mode()
    def work(start: int, stop: int) -> None:
        batch = torch.from_numpy(np.ascontiguousarray(pixels.array[start:stop]))
        images = normalise(to_float_images(batch, machine.device), source.mean, source.std)
        found.append(model(images).float().cpu().numpy().astype(np.float64))
        machine.on_progress(stop / len(pixels.array))

    run_in_batches(len(pixels.array), FORWARD_BATCH[machine.device.type], work, machine.note)
    return np.concatenate(found)


def _measure_without_finetuning(
    network: Network,
    pixels: Pixels,
    features: np.ndarray,
    labels: np.ndarray,
    machine: Machine,
    timer: _StepTimer,
) -> tuple[dict[str, object], Probe]:
    """What can be measured on the training images without finetuning, each with its own seconds."""
    classes = int(labels.max()) + 1
    probe = fit_probe(features, labels, classes, assign_folds(labels, list(pixels.digests), 5, 0))
    timer.lap('probe')
    known: dict[str, object] = {
        'probe': accuracy(probe.logits, labels),
        'probe_correct': encode_hits(probe.logits, labels),
    }
    known['logme'] = logme(features, labels)
    timer.lap('logme')
    known['knn'] = knn_accuracy(features, labels)
    timer.lap('knn')
    known['leep'] = leep(softmax(predict_scores(network.model, network.source, pixels, machine)), labels)
    timer.lap('leep')
    return known, probe


def _finetune_once(
    network: Network,
    pixels: Pixels,
    features: np.ndarray,
    labels: np.ndarray,
    probe: Probe,
    macs: float,
    seed: int,
    setup: BenchmarkSetup,
    machine: Machine,
) -> tuple[Plan, nn.Module]:
    """The product's last step of a finetuning: from the linear head, on every image, for the schedule's
    epochs.
    """
    classes = int(labels.max()) + 1
    # As a training with the plan "auto".
    name = 'last' if macs > HEAVY and setup.plan == 'several' else setup.plan
    spec = TrainSpec(seed=seed, plan=name, device=setup.device, epochs=setup.epochs)
    groups: list[LayerGroup] = list_layer_groups(network)
    plan = choose_plan(spec, groups, len(labels), classes, 0.0, macs)
    task = FinetuneTask(network, pixels, features, labels, classes, spec, plan, pixels.digests, macs)
    with tempfile.TemporaryDirectory() as folder:
        runner = FoldRunner(task, machine, Path(folder), lambda done, progress: machine.on_progress(done))
        return plan, runner.train_final(probe.head, setup.scale, plan.epochs)


class _StepTimer:
    """Seconds of each step, the processor's where it computes."""

    def __init__(self, device: torch.device) -> None:
        self._now = time.process_time if device.type == 'cpu' else time.perf_counter
        self._last = self._now()
        self.seconds: dict[str, float] = {}

    def lap(self, step: str) -> None:
        now = self._now()
        self.seconds[step] = round(now - self._last, 3)
        self._last = now
