"""What detectors are worth: VOC 2007 mAP on the development sets, 70 % to learn from and 30 % to measure on,
by the product's own pipeline, each training with one processor core.

Arguments: names of sets and of detectors, all unless told (`python -m tests.benchmarks.detection raccoon
fast-rcnn`). The split is the product's, seed 0. The sources are the ImageNet networks of the development
data; which of them is taken, the pipeline decides by P2L and the probe, but for R-CNN, which gets the
smallest: 300 regions of 200 photos through a larger one take half an hour of a core.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path

import torch
from PIL import Image as Picture

from recognition.datasets.formats import voc
from recognition.datasets.formats.records import ImageSize
from transfer.data.manifests import BoxedImage, DetectionManifest, LabelledBox
from transfer.pipeline import train
from transfer.spec.records import to_json
from transfer.spec.report import Progress, SealedModel
from transfer.spec.train_spec import SourceModelSpec, TrainSpec
from transfer.zoo.weights import file_digest

DATA = Path(__file__).resolve().parents[3] / 'shared' / 'data'
SETS = ('fork_scissors', 'raccoon', 'fruit', 'blood_cells')
DETECTORS = ('fast-rcnn', 'faster-rcnn', 'rcnn')
ANY = ('mobilenet_v2', 'mobilenet_v3_small', 'squeezenet1_1')
NETWORKS = {'fast-rcnn': ANY, 'faster-rcnn': ANY, 'rcnn': ('mobilenet_v3_small',)}


def manifest(name: str) -> DetectionManifest:
    folder = DATA / 'detection' / name
    sizes = {path.name: ImageSize(*Picture.open(path).size) for path in sorted((folder / 'images').iterdir())}
    known = voc.read(
        ((path.name, path.read_bytes()) for path in sorted((folder / 'annotations').iterdir())), sizes
    )
    labels = tuple(sorted({box.label for image in known.images for box in image.boxes}))
    images = []
    for image in known.images:
        path = folder / 'images' / image.name
        boxes = tuple(
            LabelledBox(b.x0, b.y0, b.x1, b.y1, labels.index(b.label), b.difficult) for b in image.boxes
        )
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        size = sizes[image.name]
        images.append(BoxedImage(str(path), size.width, size.height, boxes, digest, image.name))
    return DetectionManifest(labels, tuple(images))


def source(name: str) -> SourceModelSpec:
    path = DATA / 'weights' / f'{name}_imagenet.pth'
    return SourceModelSpec(
        f'{name} (ImageNet)', name, str(path), file_digest(path), 1000, 1_281_167, dataset='ImageNet'
    )


class Quiet:
    """A word to the terminal every half minute."""

    def __init__(self) -> None:
        self._told = time.monotonic()

    def progress(self, progress: Progress) -> None:
        if time.monotonic() - self._told > 30:
            self._told = time.monotonic()
            print(
                f'{progress.fraction:.0%} {progress.phase} {progress.loss or ""}', file=sys.stderr, flush=True
            )

    def instant(self, model: SealedModel) -> None: ...


def measure(name: str, detector: str, cache: Path) -> str:
    # its learning from all photos measures nothing
    options = {'refit': False} | json.loads(os.environ.get('DETECTION_OPTIONS', '{}'))
    spec = TrainSpec.from_json({'task': 'detection', 'detector': detector, **options})
    spec = TrainSpec(**{**spec.__dict__, 'sources': tuple(source(network) for network in NETWORKS[detector])})
    folder, begun = Path(tempfile.mkdtemp(dir=cache)), time.process_time()
    try:
        report = train(manifest(name), spec, folder, Quiet(), cache).report
    finally:
        shutil.rmtree(folder)
    minutes, known = (time.process_time() - begun) / 60, report.detection
    low, high = known.interval
    kept = {
        'set': name,
        'detector': detector,
        'options': options,
        'minutes': minutes,
        'seconds': report.seconds,
        'found': to_json(known),
    }
    print(json.dumps(kept), file=sys.stderr, flush=True)
    cells = [
        name,
        detector,
        report.source,
        f'{known.ap11:.3f} ({low:.2f} to {high:.2f})',
        f'{known.ap:.3f}',
        f'{known.coco.ap:.3f}',
        f'{known.proposals.half:.3f}' if known.proposals else 'its own',
        f'{known.train_images} / {known.test_images}',
        f'{minutes:.1f}',
        f'{1000 * known.seconds:.0f}',
        ', '.join(f'{row.label} {row.ap11:.3f} (n = {row.n})' for row in known.classes),
    ]
    return f'| {" | ".join(cells)} |'


COLUMNS = (
    'set',
    'detector',
    'source',
    'VOC07 mAP',
    'all points',
    'COCO mAP',
    'proposals',
    'photos',
    'minutes',
    'ms a photo',
    'classes',
)


def main() -> None:
    if not DATA.is_dir():
        print(f'needs the development data in {DATA}')
        return
    torch.set_num_threads(1)
    cache = Path(os.environ.get('DETECTION_CACHE', tempfile.gettempdir())) / 'graft-detection'
    cache.mkdir(parents=True, exist_ok=True)
    print(f'| {" | ".join(COLUMNS)} |\n|{" --- |" * len(COLUMNS)}', flush=True)
    for detector in [word for word in sys.argv[1:] if word in DETECTORS] or DETECTORS:
        for name in [word for word in sys.argv[1:] if word in SETS] or SETS:
            print(measure(name, detector, cache), flush=True)


if __name__ == '__main__':
    main()
