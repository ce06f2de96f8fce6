"""What a training costs against ten epochs of the plain loop, CPU time and wall time, with held-out accuracy
beside it.

    python -m tests.benchmarks.training [--set NAME] [--source NAME] [--photos N] [--side N] [--rounds N]

The plain loop decodes every photo with Pillow each epoch and trains the whole network in float32 in torch's
default layout. Each way goes from the files to a model, with nothing cached before it.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import median

import numpy as np
import torch
from PIL import Image
from torch import nn

from tests.benchmarks.accuracy import PLAIN_RATE, Split, find_source, keep_up, right, split
from transfer.data.cache import Pixels, open_pixels
from transfer.data.manifests import Manifest
from transfer.data.splits import assign_folds
from transfer.features.extract import extract_features
from transfer.features.linear_probe import Probe, fit_probe
from transfer.features.metrics import wilson_interval
from transfer.features.network import Machine, Network
from transfer.finetune.cross_validation import FinetuneTask, FoldRunner, attach_head, list_layer_groups
from transfer.finetune.plan import choose_plan
from transfer.runtime.device import normalise
from transfer.spec.train_spec import SourceModelSpec, TrainSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture

EPOCHS = 10


@dataclass(frozen=True)
class Timed:
    cpu: float  # seconds
    wall: float
    model: nn.Module


def timed(action: Callable[[], nn.Module]) -> Timed:
    cpu, wall = time.process_time(), time.perf_counter()
    model = action()
    return Timed(time.process_time() - cpu, time.perf_counter() - wall, model)


def plain_epochs(source: SourceModelSpec, manifest: Manifest, epochs: int) -> nn.Module:
    """Ten lines that anyone would write."""
    torch.manual_seed(0)
    model = load(source)
    architecture(source.architecture).replace_head(model, len(manifest.labels))
    keep_up(model)
    optimizer = torch.optim.SGD(model.parameters(), PLAIN_RATE, momentum=0.9)
    model.train()
    for _ in range(epochs):
        for rows in torch.randperm(len(manifest.images)).split(32):
            images = [manifest.images[row] for row in rows.tolist()]
            pixels = [
                Image.open(image.path).convert('RGB').resize((source.side, source.side), 2)
                for image in images
            ]
            batch = (
                torch.from_numpy(np.stack([np.asarray(picture) for picture in pixels]))
                .permute(0, 3, 1, 2)
                .float()
                / 255
            )
            optimizer.zero_grad()
            truth = torch.tensor([image.label for image in images])
            nn.functional.cross_entropy(
                model(normalise(batch, source.mean, source.std).contiguous()), truth
            ).backward()
            optimizer.step()
    return model


@dataclass
class Trial:
    """One set and one source; every call begins with an empty cache."""

    source: SourceModelSpec
    parts: Split

    def __post_init__(self) -> None:
        self.labels = np.array([image.label for image in self.parts.learn.images])
        self.classes = len(self.parts.learn.labels)

    def linear(self, cache: Path) -> tuple[Network, Pixels, np.ndarray, Probe, Machine]:
        machine = Machine(torch.device('cpu'), 'auto', cache, lambda note: None, lambda done: None)
        network = Network(self.source, architecture(self.source.architecture), load(self.source))
        pixels = open_pixels(self.parts.learn, self.source.side, cache / 'pixels', machine.on_progress)
        features = extract_features(network, pixels, machine)
        folds = assign_folds(self.labels, list(pixels.digests), 5, 0)
        return network, pixels, features, fit_probe(features, self.labels, self.classes, folds), machine

    def instant(self) -> nn.Module:
        with tempfile.TemporaryDirectory() as folder:
            network, _, _, probe, _ = self.linear(Path(folder))
            return attach_head(network, self.classes, probe.head)

    def finetuned(self, plan: str, epochs: int) -> nn.Module:
        """Everything from the photos: decode, features, linear head, then one finetuning of so many
        epochs."""
        with tempfile.TemporaryDirectory() as folder:
            network, pixels, features, probe, machine = self.linear(Path(folder))
            spec = TrainSpec(plan=plan, epochs=epochs)
            chosen = choose_plan(spec, list_layer_groups(network), len(self.labels), self.classes, 0.5)
            task = FinetuneTask(
                network, pixels, features, self.labels, self.classes, spec, chosen, pixels.digests
            )
            return FoldRunner(task, machine, Path(folder), lambda done, facts: None).train_final(
                probe.head, 1.0, epochs
            )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--set', default='trash')
    parser.add_argument('--source', default='mobilenet_v3_small_imagenet')
    parser.add_argument('--photos', type=int, default=250)
    parser.add_argument('--side', type=int, default=0)
    parser.add_argument('--threads', type=int, default=1)
    parser.add_argument('--rounds', type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    source = find_source(options.source, options.side)
    parts = split(options.set, 0)
    learn, count = parts.learn, min(options.photos, len(parts.learn.images))
    spread = np.linspace(0, len(learn.images) - 1, count).round().astype(int)
    parts = replace(parts, learn=Manifest(learn.labels, tuple(learn.images[row] for row in spread)))
    show(Trial(source, parts), options.rounds)


def show(trial: Trial, rounds: int) -> None:
    """Every way in turn, so many rounds; the medians of what each took, and of its ratio to the plain loop of
    its round."""
    source, learn, judge = trial.source, trial.parts.learn, trial.parts.judge
    ways: dict[str, Callable[[], nn.Module]] = {
        f'plain loop, {EPOCHS} epochs': lambda: plain_epochs(source, learn, EPOCHS),
        'instant model': trial.instant,
        f'last stages on cached activations, {EPOCHS} epochs': lambda: trial.finetuned('last', EPOCHS),
        f'whole network, {EPOCHS} epochs': lambda: trial.finetuned('all', EPOCHS),
    }
    trial.instant()  # warm: the first run of a process pays for imports and kernels, which no way should
    taken = [[timed(way) for way in ways.values()] for _ in range(rounds)]
    print(
        f'{len(learn.images)} photos, {trial.classes} classes, {source.name} at {source.side} pixels; '
        f'{len(judge.images)} held out'
    )
    print('| way, from files to a model | CPU s | of the plain loop | wall s | held-out accuracy |')
    print('| --- | --- | --- | --- | --- |')
    for place, name in enumerate(ways):
        cpu, wall = (median(getattr(row[place], clock) for row in taken) for clock in ('cpu', 'wall'))
        ratio = median(row[place].cpu / row[0].cpu for row in taken)
        correct, n = right(taken[0][place].model, source, judge), len(judge.images)
        low, high = wilson_interval(correct, n)
        print(
            f'| {name} | {cpu:.1f} | {ratio:.3f} | {wall:.1f} | {correct / n:.1%} ({low:.1%} to {high:.1%}) '
            '|',
            flush=True,
        )
    epoch = median((row[3].cpu - row[1].cpu) / row[0].cpu for row in taken)
    print(
        f'an epoch of the whole network, without decoding, features and linear head: {epoch:.3f} of an epoch '
        'of the plain loop'
    )


if __name__ == '__main__':
    main()
