"""The sealed graph against eager torch: CPU time of one image, one thread, alternately; and how often they
agree.

Eager torch is taken twice: as a plain call (`network(image)`) and at its best (`torch.inference_mode`).
Agreement is counted on real photos of classification sets that the networks were not trained on.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import torch

from tests.benchmarks import _sealed
from transfer.data.decode import decode
from transfer.serving import export
from transfer.serving.artifacts import Preprocessing
from transfer.serving.openvino_engine import OpenVinoEngine
from transfer.zoo import loading, weights
from transfer.zoo.networks import registry

ROUNDS = 7
AGREEMENT_PHOTOS = 400
IMAGENET = {'mobilenet_v2': 'mobilenet_v2_imagenet', 'mobilenet_v3_small': 'mobilenet_v3_small_imagenet'}
STARTER = ('graft-generic', 'graft-garment')


@dataclass(frozen=True)
class Subject:
    title: str
    network: torch.nn.Module
    preprocessing: Preprocessing
    learned: bool  # random weights say nothing on agreement


def subjects() -> Iterator[Subject]:
    torch.manual_seed(0)
    usual = Preprocessing(224, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    yield Subject('resnet18, random, 224', registry.architecture('resnet18').build(1000), usual, False)
    for name, file in IMAGENET.items():
        path = _sealed.SHARED / 'weights' / f'{file}.pth'
        if path.is_file():
            network = loading.fill(registry.architecture(name), loading.read_state(path))
            yield Subject(f'{name}, ImageNet, 224', network, usual, True)
    for source in weights.read_starter_models():
        if source.name in STARTER:
            network = loading.fill(
                registry.architecture(source.architecture), loading.read_state(source.weights)
            )
            title = f'{source.architecture}, {source.name}, {source.side}'
            yield Subject(title, network, Preprocessing(source.side, source.mean, source.std), True)


def photos(side: int) -> np.ndarray:
    """uint8 (n, side, side, 3), spread over the classification sets."""
    paths = sorted((_sealed.SHARED / 'classification').rglob('*.jpg'))
    step = max(1, len(paths) // AGREEMENT_PHOTOS)
    sources = [path.read_bytes() for path in paths[::step]] or _sealed.photos(40)
    return np.stack([decode(source, side) for source in sources])


def cpu_seconds(action: Callable[[], object], times: int) -> float:
    started = time.process_time()
    for _ in range(times):
        action()
    return (time.process_time() - started) / times


def measure(subject: Subject, folder: Path) -> str:
    pixels = photos(subject.preprocessing.side)
    engine = export.export(
        subject.network, subject.preprocessing, 1.0, pixels[:: len(pixels) // 32], folder, keep_onnx=False
    )
    if engine.name != 'openvino':
        return f'| {subject.title} | {engine.why_not} | | | | | |'
    graph = OpenVinoEngine(folder / 'graph.xml', engine.precision, streams=1)
    eager = export.ServedNetwork(subject.network, subject.preprocessing).eval()
    one = torch.from_numpy(pixels[:1])

    @torch.inference_mode()
    def at_its_best() -> object:
        return eager(one)

    rounds = [
        (
            cpu_seconds(lambda: eager(one), 5),
            cpu_seconds(at_its_best, 5),
            cpu_seconds(lambda: graph.logits(pixels[:1]), 15),
        )
        for _ in range(ROUNDS)
    ]
    plain, best, sealed = (1000 * median(column) for column in zip(*rounds, strict=True))
    return (
        f'| {subject.title} | {engine.precision} | {plain:.2f} | {best:.2f} | {sealed:.2f} '
        f'| {plain / sealed:.1f} x / {best / sealed:.1f} x | '
        f'{agreement(eager, graph, pixels) if subject.learned else "-"} |'
    )


def agreement(eager: torch.nn.Module, graph: OpenVinoEngine, pixels: np.ndarray) -> str:
    parts = [pixels[at : at + 32] for at in range(0, len(pixels), 32)]
    with torch.inference_mode():
        truth = np.concatenate([eager(torch.from_numpy(part)).argmax(1) for part in parts])
    found = np.concatenate([graph.logits(part).argmax(1) for part in parts])
    return f'{(found == truth).mean():.4f} of {len(pixels)}'


def main() -> None:
    torch.set_num_threads(1)
    print(
        '| network, weights, side | graph | plain call (ms) | inference mode (ms) | graph (ms) | ratios | '
        'top-1 agreement |'
    )
    print('| --- | --- | --- | --- | --- | --- | --- |')
    for subject in subjects():
        with tempfile.TemporaryDirectory() as folder:
            print(measure(subject, Path(folder)), flush=True)


if __name__ == '__main__':
    main()
