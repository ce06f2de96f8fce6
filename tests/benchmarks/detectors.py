"""Fast R-CNN beside R-CNN, the same photos, boxes and body, one thread: what a photo costs, and what a
training costs.

The network part is that of one photo and 2,000 boxes, random weights; R-CNN is timed on a part of the boxes
and scaled. Trainings are whole ones. Both see the same photos as often, in as many steps of as many regions
(two photos and 64 regions of each for Fast R-CNN, as published; for R-CNN 128 regions of any photos): what
Fast R-CNN saves is that the regions of a photo share the body's work, and that R-CNN's features, SVMs and
regressors are learned beside. The steps of the heads alone, which the product puts before, are left out: the
paper has none. Proposals are left out everywhere, as in the paper's tables.
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file

from transfer.data.decode import UprightImage
from transfer.data.manifests import BoxedImage, DetectionManifest, LabelledBox
from transfer.detection.fast_rcnn import train as fast_training
from transfer.detection.fast_rcnn.model import FastRcnn, torch_inference
from transfer.detection.rcnn import train as rcnn_training
from transfer.detection.rcnn.embedding import embed_regions
from transfer.serving.artifacts import Preprocessing
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.rcnn import RcnnSpec
from transfer.spec.report import Progress, SealedModel
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.registry import architecture
from transfer.zoo.weights import file_digest

BOXES = 2000
SAMPLE = 100  # of them for R-CNN's network part
WIDTH, HEIGHT = 500, 375
PHOTOS = 2  # to learn from: both trainings cost as much for each further one
PASSES = 16  # over them, as usual on a CPU
LABELS = ('dark', 'bright')
# (regions a photo, short side of Fast R-CNN's photos): as published, and as the product has it on a CPU.
WAYS = {'as published': (2000, 600), 'as on a CPU': (300, 400)}


class Quiet:
    def progress(self, progress: Progress) -> None: ...

    def instant(self, model: SealedModel) -> None: ...


def main() -> None:
    torch.set_num_threads(1)
    network_parts()
    trainings()


def network_parts() -> None:
    rng = np.random.default_rng(0)
    photo = UprightImage(rng.integers(0, 256, (HEIGHT, WIDTH, 3)).astype(np.uint8), WIDTH, HEIGHT)
    boxes = anywhere(rng)
    print('| body | R-CNN s | Fast R-CNN s | times |\n| --- | --- | --- | --- |')
    for name in ('mobilenet_v3_small', 'squeezenet1_1', 'resnet18'):
        network = architecture(name)
        source = SourceModelSpec(name, name, '', '', 10, 1)
        model = FastRcnn(network, network.build(10), 3, FastRcnnSpec()).eval()
        plain = network.build(10).eval().to(memory_format=torch.channels_last)
        spec = dataclasses.replace(FastRcnnSpec(), min_score=0.5)
        slow, fast = [], []
        for _ in range(3):
            seconds = timed(lambda: embed_regions(network, plain, photo, boxes[:SAMPLE], source, RcnnSpec()))  # noqa: B023
            slow.append(seconds * BOXES / SAMPLE)
            infer = torch_inference(model, Preprocessing.of(source), spec)
            fast.append(timed(lambda: infer(photo, boxes)))  # noqa: B023
        print(f'| {name} | {min(slow):.1f} | {min(fast):.2f} | {min(slow) / min(fast):.0f} |', flush=True)


def trainings() -> None:
    print('\n| body | way | regions a photo | steps | R-CNN s | Fast R-CNN s | times |\n|' + ' --- |' * 7)
    with tempfile.TemporaryDirectory() as folder:
        known = drawn(Path(folder))
        for name in ('mobilenet_v3_small', 'squeezenet1_1'):
            for way in WAYS:
                print(compared(way, source(Path(folder), name), known, Path(folder)), flush=True)


def compared(way: str, source: SourceModelSpec, known: DetectionManifest, folder: Path) -> str:
    limit, short_side = WAYS[way]
    rng = np.random.default_rng(1)
    proposals = [about(image, anywhere(rng)[:limit], rng) for image in known.images]
    fast = FastRcnnSpec(short_side=short_side, rois_per_image=64, head_steps=0, epochs=PASSES)
    steps = fast_training.steps_for(len(known.images), fast)
    slow = RcnnSpec(proposals=limit, steps=steps, batch=fast.images_per_batch * fast.rois_per_image)
    spent: dict[str, list[float]] = {'slow': [], 'fast': []}
    with tempfile.TemporaryDirectory(dir=folder) as place:
        spent['fast'].append(timed(lambda: fast_training.train(known, proposals, source, fast, Quiet())))
        spent['slow'].append(
            timed(lambda: rcnn_training.train(known, proposals, source, slow, Path(place), Quiet()))
        )
        spent['fast'].append(timed(lambda: fast_training.train(known, proposals, source, fast, Quiet())))
    seconds = {which: sum(each) / len(each) for which, each in spent.items()}
    times = seconds['slow'] / seconds['fast']
    measured = f'{seconds["slow"]:.0f} | {seconds["fast"]:.1f} | {times:.1f}'
    return f'| {source.name} | {way} | {limit} | {steps} | {measured} |'


def timed(action: Callable[[], object]) -> float:
    """Seconds of a core."""
    begun = time.process_time()
    action()
    return time.process_time() - begun


def anywhere(rng: np.random.Generator) -> np.ndarray:
    corners = rng.uniform(0, (WIDTH - 100, HEIGHT - 75), (BOXES, 2))
    return np.hstack(
        [corners, corners + rng.uniform(20, 100, (BOXES, 2)).clip(max=(WIDTH, HEIGHT) - corners)]
    )


def about(image: BoxedImage, elsewhere: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same number of proposals, one in ten of them near a thing, as selective search has it."""
    truth = np.array([(box.x0, box.y0, box.x1, box.y1) for box in image.boxes])
    near = truth[rng.integers(0, len(truth), len(elsewhere) // 10)]
    return np.concatenate(
        [(near + rng.normal(0, 8, near.shape)).clip(0, (WIDTH, HEIGHT) * 2), elsewhere[len(near) :]]
    )


def drawn(folder: Path) -> DetectionManifest:
    """Photos of noise with four blocks each."""
    images = []
    for number in range(PHOTOS):
        rng = np.random.default_rng(number)
        pixels, boxes = rng.integers(80, 170, (HEIGHT, WIDTH, 3)), []
        for place in range(4):
            x, y, label = 20 + 120 * place, int(rng.integers(20, 250)), place % 2
            pixels[y : y + 90, x : x + 90] = (30, 230)[label]
            boxes.append(LabelledBox(x, y, x + 90, y + 90, label))
        path = folder / f'{number}.jpg'
        Image.fromarray(pixels.astype(np.uint8)).save(path, quality=90)
        images.append(BoxedImage(str(path), WIDTH, HEIGHT, tuple(boxes), str(number), path.name))
    return DetectionManifest(LABELS, tuple(images))


def source(folder: Path, name: str) -> SourceModelSpec:
    """Random weights: what a step costs does not hang on them."""
    torch.manual_seed(0)
    path = folder / f'{name}.safetensors'
    save_file(architecture(name).build(10).state_dict(), path)
    return SourceModelSpec(name, name, str(path), file_digest(path), 10, 1)


if __name__ == '__main__':
    main()
