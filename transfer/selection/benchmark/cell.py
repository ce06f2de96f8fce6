"""One cell of the matrix: a source finetuned on a target and judged on held-out photos, and all that was to be known before."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from p2l.transferability import leep, logme, nearest_neighbours
from transfer.data.cache import Pixels, open_pixels
from transfer.data.splits import assign_folds
from transfer.features.extract import extract_anew
from transfer.features.linear_probe import Probe, fit
from transfer.features.metrics import accuracy, softmax
from transfer.features.network import Machine, Network
from transfer.finetune.cross_validation import Bench, Task, layer_groups
from transfer.finetune.flops import multiply_adds
from transfer.finetune.plan import HEAVY, Group, Plan, choose_plan
from transfer.runtime.device import FORWARD_BATCH, in_batches, normalise, planes
from transfer.selection.benchmark.targets import Split, Target
from transfer.spec.train_spec import SourceModelSpec, TrainSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture


@dataclass(frozen=True)
class Setup:
    """What all cells of one matrix share; a matrix begun with another setup is not gone on with."""

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
    target: Target, part: Split, source: SourceModelSpec, seed: int, setup: Setup, machine: Machine
) -> dict[str, Any]:
    """Finetune once and judge. Seconds are the processor's on a CPU, so that neighbours on the machine do not count."""
    clock = _Clock(machine.device)
    network = Network(source, architecture(source.architecture), load(source))
    whole = open_pixels(target.manifest, source.side, machine.cache / 'pixels', machine.beat)
    labels = np.array([image.label for image in target.manifest.images])
    pixels, held = whole.rows(part.learned), whole.rows(part.held)
    clock.lap('load')
    held_features = extract_anew(
        network, held, machine
    )  # first, so that the choice of a precision is not timed below
    clock.lap('held')
    features = extract_anew(network, pixels, machine)
    clock.lap('features')
    known, probe = _evidence(network, pixels, features, labels[part.learned], machine, clock)
    macs = multiply_adds(network) if setup.spares and machine.device.type == 'cpu' else 0.0
    clock.lap('count')
    plan, model = _finetuned(
        network, pixels, features, labels[part.learned], probe, macs, seed, setup, machine
    )
    clock.lap('finetune')
    truth = labels[part.held]
    said = scores(model, source, held, machine)
    clock.lap('judge')
    linear = probe.head.logits(held_features)
    return {
        'target': target.name,
        'source': source.name,
        'seed': seed,
        'classes': len(target.manifest.labels),
        'images': len(part.learned),
        'held': len(part.held),
        'accuracy': accuracy(said, truth),
        'right': bits(said, truth),
        'linear': accuracy(linear, truth),
        **known,
        'epochs': plan.epochs,
        'macs': macs,
        'parameters': sum(parameter.numel() for parameter in network.model.parameters()),
        'seconds': clock.seconds,
    }


def bits(logits: np.ndarray, labels: np.ndarray) -> str:
    """Image by image, 1 where the first answer is right: what two sources are compared by on the same photos."""
    return ''.join('1' if hit else '0' for hit in logits.argmax(1) == labels)


def scores(model: nn.Module, source: SourceModelSpec, pixels: Pixels, machine: Machine) -> np.ndarray:
    """Class scores as serving gives them, float64 (n, classes)."""
    found: list[np.ndarray] = []
    model = model.to(machine.device).eval()

    @torch.inference_mode()
    def work(start: int, stop: int) -> None:
        batch = torch.from_numpy(np.ascontiguousarray(pixels.array[start:stop]))
        images = normalise(planes(batch, machine.device), source.mean, source.std)
        found.append(model(images).float().cpu().numpy().astype(np.float64))
        machine.beat(stop / len(pixels.array))

    in_batches(len(pixels.array), FORWARD_BATCH[machine.device.type], work, machine.note)
    return np.concatenate(found)


def _evidence(
    network: Network,
    pixels: Pixels,
    features: np.ndarray,
    labels: np.ndarray,
    machine: Machine,
    clock: _Clock,
) -> tuple[dict[str, Any], Probe]:
    """What can be measured on the learned images without finetuning, each with its own seconds."""
    classes = int(labels.max()) + 1
    probe = fit(features, labels, classes, assign_folds(labels, list(pixels.digests), 5, 0))
    clock.lap('probe')
    known: dict[str, Any] = {
        'probe': accuracy(probe.logits, labels),
        'probe_right': bits(probe.logits, labels),
    }
    known['logme'] = logme(features, labels)
    clock.lap('logme')
    known['knn'] = nearest_neighbours(features, labels)
    clock.lap('knn')
    known['leep'] = leep(softmax(scores(network.model, network.source, pixels, machine)), labels)
    clock.lap('leep')
    return known, probe


def _finetuned(
    network: Network,
    pixels: Pixels,
    features: np.ndarray,
    labels: np.ndarray,
    probe: Probe,
    macs: float,
    seed: int,
    setup: Setup,
    machine: Machine,
) -> tuple[Plan, nn.Module]:
    """The product's last step of a finetuning: from the linear head, on every image, for the schedule's epochs."""
    classes = int(labels.max()) + 1
    name = (
        'last' if macs > HEAVY and setup.plan == 'several' else setup.plan
    )  # as a training with the plan "auto"
    spec = TrainSpec(seed=seed, plan=name, device=setup.device, epochs=setup.epochs)
    groups: list[Group] = layer_groups(network)
    plan = choose_plan(spec, groups, len(labels), classes, 0.0, macs)
    task = Task(network, pixels, features, labels, classes, spec, plan, macs)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(task, machine, Path(folder), lambda done, facts: machine.beat(done))
        return plan, bench.final(probe.head, setup.scale, plan.epochs)


class _Clock:
    """Seconds of each step, the processor's where it computes."""

    def __init__(self, device: torch.device) -> None:
        self._now = time.process_time if device.type == 'cpu' else time.perf_counter
        self._last = self._now()
        self.seconds: dict[str, float] = {}

    def lap(self, step: str) -> None:
        now = self._now()
        self.seconds[step] = round(now - self._last, 3)
        self._last = now
