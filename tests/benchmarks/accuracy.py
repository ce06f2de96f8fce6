"""Held-out accuracy of the whole method against a plain full finetune with one learning rate, set by set.

    python -m tests.benchmarks.accuracy [--sets a,b] [--sources x,y] [--seeds 0,1,2] [--side N] [--out FILE]
    [--threads N]

Each set of the development images is split 60 : 40 within its classes, by the seed. Ours is
transfer.pipeline.train on the 60 %. The plain way is torchvision's transfer-learning tutorial with a batch
for a set of this size: a new random head, random resized crops and flips, SGD with momentum 0.9 and one rate
for all layers, divided by ten after two thirds of the epochs, live batch-norm statistics. Both start from the
same source, are judged on the same 40 %, and see whole photos squashed. Every finished cell is written to
FILE (JSON): run the same command again after an interruption and it goes on.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from torch import nn

from tests.support.photos import SHARED
from transfer.data.augment import Augmentation, augment
from transfer.data.decode import decode
from transfer.data.manifests import LabelledImage, Manifest
from transfer.features.metrics import wilson_interval
from transfer.pipeline import train
from transfer.runtime.device import normalise, to_float_images
from transfer.spec.report import Progress, SealedModel
from transfer.spec.train_spec import SourceModelSpec, TrainSpec
from transfer.zoo.loading import class_count, load, read_state
from transfer.zoo.networks.registry import ARCHITECTURES, architecture
from transfer.zoo.weights import STARTER, file_digest, read_starter_models

SETS = ('flower', 'hand_digit', 'instrument', 'magnetic_tile', 'script', 'trash')
SHARE = 0.6
# the best of 0.003, 0.01 and 0.03 on hand_digit and flower
PLAIN_RATE, PLAIN_EPOCHS, PLAIN_BATCH = 0.003, 15, 32
CPU = torch.device('cpu')


@dataclass(frozen=True)
class Split:
    learn: Manifest
    judge: Manifest


class Silent:
    def progress(self, progress: Progress) -> None: ...

    def instant(self, model: SealedModel) -> None: ...


def find_source(name: str, side: int) -> SourceModelSpec:
    """A starter source, or a network of the development weights, by name; at another side when one is
    given."""
    for source in read_starter_models(STARTER):
        if source.name == name:
            digest, classes = file_digest(source.weights), len(source.class_names)
            return SourceModelSpec(
                name,
                source.architecture,
                str(source.weights),
                digest,
                classes,
                source.images,
                side or source.side,
                source.mean,
                source.std,
            )
    path = SHARED / 'weights' / f'{name}.pth'
    kind = max((known for known in ARCHITECTURES if name.startswith(known)), key=len)
    classes = class_count(read_state(path), architecture(kind))
    return SourceModelSpec(name, kind, str(path), file_digest(path), classes, 1_000_000, side or 224)


def split(name: str, seed: int) -> Split:
    root = SHARED / 'classification' / name
    labels = tuple(sorted(path.name for path in root.iterdir() if path.is_dir()))
    chance = np.random.default_rng(seed)
    learn, judge = [], []
    for index, label in enumerate(labels):
        paths = sorted((root / label).iterdir())
        for place, row in enumerate(chance.permutation(len(paths))):
            path = paths[row]
            image = LabelledImage(str(path), index, hashlib.sha256(path.read_bytes()).hexdigest(), path.name)
            (learn if place < round(SHARE * len(paths)) else judge).append(image)
    return Split(Manifest(labels, tuple(learn)), Manifest(labels, tuple(judge)))


def arrays(manifest: Manifest, side: int) -> tuple[torch.Tensor, torch.Tensor]:
    pixels = np.stack([decode(image.path, side) for image in manifest.images])
    return torch.from_numpy(pixels), torch.tensor([image.label for image in manifest.images])


def right(model: nn.Module, source: SourceModelSpec, manifest: Manifest) -> int:
    """How many images the network gets right, as serving sees them."""
    pixels, labels = arrays(manifest, source.side)
    model.eval()
    with torch.inference_mode():
        said = [
            model(normalise(to_float_images(part, CPU), source.mean, source.std)).argmax(1)
            for part in pixels.split(32)
        ]
    return int((torch.cat(said) == labels).sum())


def keep_up(model: nn.Module) -> None:
    """Torch's default momentum for batch norms: at MobileNetV3's 0.01 they lag behind 150 steps, and it ends
    at chance."""
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = 0.1


def plain(source: SourceModelSpec, manifest: Manifest, seed: int) -> nn.Module:
    """The full finetune with one learning rate."""
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    model = load(source)
    architecture(source.architecture).replace_head(model, len(manifest.labels))
    keep_up(model)
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), PLAIN_RATE, momentum=0.9)
    schedule = torch.optim.lr_scheduler.StepLR(optimizer, PLAIN_EPOCHS * 2 // 3, 0.1)
    pixels, labels = arrays(manifest, source.side)
    how = Augmentation(flip=True, crop=0.25, jitter=0.0)
    for _ in range(PLAIN_EPOCHS):
        model.train()
        for rows in torch.randperm(len(labels), generator=chance).split(PLAIN_BATCH):
            if len(rows) > 1:
                images = normalise(
                    augment(to_float_images(pixels[rows], CPU), how, chance), source.mean, source.std
                )
                optimizer.zero_grad()
                nn.functional.cross_entropy(model(images), labels[rows]).backward()
                optimizer.step()
        schedule.step()
    return model


def ours(
    source: SourceModelSpec, manifest: Manifest, seed: int, folder: Path
) -> tuple[nn.Module, dict[str, Any]]:
    spec = TrainSpec(sources=(source,), source=source.name, seed=seed)
    sealed = train(manifest, spec, folder / 'work', Silent(), folder / 'cache')
    model, report = unsealed(source, len(manifest.labels), Path(sealed.folder)), sealed.report
    linear = next(row.accuracy for row in report.probes)
    return model, {
        'winner': report.winner,
        'plan': report.plan.name if report.plan else '',
        'out_of_fold': report.accuracy,
        'linear_out_of_fold': linear,
    }


def unsealed(source: SourceModelSpec, classes: int, folder: Path) -> nn.Module:
    network = architecture(source.architecture)
    model = network.build(2)
    network.replace_head(model, classes)
    model.load_state_dict(read_state(folder / 'weights.safetensors'))
    return model


def cell(name: str, source: SourceModelSpec, seed: int) -> dict[str, Any]:
    """Both ways on one split."""
    parts = split(name, seed)
    n = len(parts.judge.images)
    start = time.process_time()
    with tempfile.TemporaryDirectory() as folder:
        model, facts = ours(source, parts.learn, seed, Path(folder))
        instant = unsealed(source, len(parts.learn.labels), Path(folder) / 'work' / 'instant')
    middle = time.process_time()
    plain_right = right(plain(source, parts.learn, seed), source, parts.judge)
    end = time.process_time()
    ours_right = right(model, source, parts.judge)
    return facts | {
        'n': n,
        'ours': ours_right / n,
        'ours_interval': wilson_interval(ours_right, n),
        'instant': right(instant, source, parts.judge) / n,
        'plain': plain_right / n,
        'ours_cpu_seconds': round(middle - start, 1),
        'plain_cpu_seconds': round(end - middle, 1),
    }


def run(sets: list[str], sources: list[str], seeds: list[int], side: int, out: Path) -> dict[str, Any]:
    """Fill the table cell by cell; what the file holds already is not done again."""
    done: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    for name in sets:
        for source in sources:
            source_model = find_source(source, side)
            for seed in seeds:
                key = f'{name} {source} {source_model.side} {seed}'
                if key not in done:
                    done[key] = cell(name, source_model, seed)
                    aside = out.with_suffix('.part')
                    aside.write_text(json.dumps(done, indent=1))
                    os.replace(aside, out)
                    print(key, done[key], flush=True)
    return done


def show(done: dict[str, Any]) -> None:
    print(
        '| set | source | cells | ours | instant model | plain finetune | out-of-fold said | CPU ours : '
        'plain |'
    )
    print('| --- | --- | --- | --- | --- | --- | --- | --- |')
    groups: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for key, values in done.items():
        groups.setdefault(tuple(key.split(' ')[:2]), []).append(values)  # type: ignore[arg-type]
    for (name, source), cells in groups.items():
        a, i, b, said = (
            mean(c[column] for c in cells) for column in ('ours', 'instant', 'plain', 'out_of_fold')
        )
        cost = sum(c['ours_cpu_seconds'] for c in cells) / sum(c['plain_cpu_seconds'] for c in cells)
        print(f'| {name} | {source} | {len(cells)} | {a:.1%} | {i:.1%} | {b:.1%} | {said:.1%} | {cost:.2f} |')
    a, i, b = (mean(c[column] for c in done.values()) for column in ('ours', 'instant', 'plain'))
    print(f'| mean | | {len(done)} | {a:.1%} | {i:.1%} | {b:.1%} | | |')


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--sets', default=','.join(SETS))
    parser.add_argument('--sources', default='mobilenet_v3_small_imagenet')
    parser.add_argument('--seeds', default='0,1,2')
    parser.add_argument('--side', type=int, default=0, help="0: the source's own")
    parser.add_argument('--out', type=Path, default=Path(tempfile.gettempdir()) / 'graft-accuracy.json')
    parser.add_argument('--threads', type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    seeds = [int(seed) for seed in options.seeds.split(',')]
    show(run(options.sets.split(','), options.sources.split(','), seeds, options.side, options.out))


if __name__ == '__main__':
    main()
