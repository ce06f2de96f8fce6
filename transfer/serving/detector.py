"""A sealed detector answers: bytes of a photo in, boxes out. On a CPU without torch.

R-CNN warps each proposal and asks one graph for margins and shifts. Fast R-CNN asks a graph for the photo's map, pools
each proposal from it, and asks a second graph for probabilities and shifts.
"""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from transfer.data.decode import Upright, decode_whole
from transfer.regions.boxes import areas, decode
from transfer.regions.postprocess import Detections, as_shares, settle
from transfer.regions.proposals import propose, propose_for_photo
from transfer.regions.resize import resized
from transfer.regions.roi_pooling import pool_regions
from transfer.regions.warp import warped
from transfer.serving.artifacts import GRAPH, WEIGHTS, Meta, read_meta, verify
from transfer.serving.openvino_engine import Graph
from transfer.spec.errors import CorruptArtifactError, OverloadedError
from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.faster_rcnn import FasterRcnnSpec
from transfer.spec.rcnn import RcnnSpec

HEADS = 'heads.xml'
WAITING = 32  # photos that may wait for a lane; a detection takes a second, so more would wait for minutes
OVERHEAD, PACKED = (
    96 * 2**20,
    3.0,
)  # bytes held beside the weights, and in multiples of them: maps of whole photos are large

FoundBy = Callable[[Upright, np.ndarray], Detections]


class Detector:
    """One model, loaded. Safe to call from many threads: `lanes` photos are looked at side by side, the rest wait."""

    def __init__(self, folder: Path, *, digest: str = '', device: str = 'cpu', lanes: int = 1) -> None:
        """Check every file, then load. `digest`: the artifact's, if known. Errors: CorruptArtifactError, IncompatibleArtifactError."""
        self.meta: Meta = read_meta(folder)
        if digest and self.meta.digest != digest:
            raise CorruptArtifactError(f'the model in {folder.name} is not the one that was trained')
        verify(folder, self.meta)
        self.labels = self.meta.labels
        self.size = int(OVERHEAD + PACKED * (folder / WEIGHTS).stat().st_size)
        self._device = device
        self._find = finder(folder, self.meta, device)
        self._warm_up()
        self._lanes = threading.Semaphore(lanes)
        self._room = threading.Semaphore(lanes + WAITING)

    @property
    def kind(self) -> str:
        """rcnn, fast-rcnn or faster-rcnn."""
        return str(self.meta.detection['kind'])

    def _warm_up(self) -> None:
        """One photo of nothing: what is compiled on its first use (20 s once on a machine, a second in a process) is ready."""
        blank = np.zeros((48, 64, 3), np.uint8)
        proposals = proposed(blank, self.meta.detection, self._device)
        self._find(
            Upright(blank, 64, 48), np.concatenate([proposals, np.array([[0, 0, 64, 48]], np.float32)])
        )

    @property
    def threshold(self) -> float:
        """The score from which on its detections are shown: best on the photos that it was measured on."""
        return float(self.meta.detection['score_threshold'])

    def detect(self, image: bytes) -> tuple[Detections, Upright]:
        """What is on a photo, best first, in its own upright pixels. Errors: UnreadableImageError, OverloadedError."""
        if not self._room.acquire(blocking=False):
            raise OverloadedError(f'{WAITING} images are waiting')
        try:
            with self._lanes:
                photo = decode_whole(image, self.meta.detection['least_side'])
                return self._find(photo, proposed(image, self.meta.detection, self._device)), photo
        finally:
            self._room.release()


def proposed(photo: bytes | np.ndarray, known: Mapping[str, Any], device: str) -> np.ndarray:
    """Regions of an encoded photo or of pixels, as the detector of which Meta.detection is `known` is asked about them.

    Faster R-CNN has its own. R-CNN answers within seconds on a CPU too: one that a GPU trained gets fewer there.
    """
    if known['kind'] == 'faster-rcnn':
        return np.zeros((0, 4), np.float32)
    is_slow = (known['kind'], device) == ('rcnn', 'cpu')
    limit, way = (
        min(known['limit'], known['spec']['cpu_proposals']) if is_slow else known['limit'],
        known['proposals'],
    )
    return (
        propose(photo, way, limit) if isinstance(photo, np.ndarray) else propose_for_photo(photo, way, limit)
    )


def seconds_of(find: FoundBy, photos: Sequence[bytes], known: Mapping[str, Any]) -> float:
    """What a photo costs in service on this CPU, from its bytes to its boxes: the median of some.

    The lesser of a clock's seconds, which a busy machine stretches, and the processor's, of which two cores spend twice as many.
    """
    spent = []
    for photo in photos:
        begun, worked = time.perf_counter(), time.process_time()
        find(decode_whole(photo, known['least_side']), proposed(photo, known, 'cpu'))
        spent.append(min(time.perf_counter() - begun, time.process_time() - worked))
    return statistics.median(spent)


def finder(folder: Path, meta: Meta, device: str) -> FoundBy:
    """What turns a photo and its proposals into detections, by the graphs or, where there are none or on a GPU, by torch."""
    if device != 'cpu' or meta.engine.get('name') != 'openvino':
        from transfer.serving.torch_detector import (
            torch_finder,  # only here: torch costs 0.7 GB, which the graphs spare
        )

        return torch_finder(folder, meta, device)
    try:
        return _by_graphs(folder, meta)
    except RuntimeError as error:  # the files are those that were sealed, yet this runtime cannot read them
        raise CorruptArtifactError(
            f'the graph of {folder.name} cannot be loaded: {str(error)[:200]}'
        ) from error


def _by_graphs(folder: Path, meta: Meta) -> FoundBy:
    if meta.detection['kind'] == 'rcnn':
        spec = rcnn_spec(meta)
        return GraphRcnn(folder, meta, spec)
    return GraphFastRcnn(folder, meta, fast_spec(meta))


def rcnn_spec(meta: Meta) -> RcnnSpec:
    return RcnnSpec(**meta.detection['spec'])


def fast_spec(meta: Meta) -> FastRcnnSpec:
    return FastRcnnSpec(**_with_tuples(meta.detection['spec']))


def faster_spec(meta: Meta) -> FasterRcnnSpec:
    return FasterRcnnSpec(**_with_tuples(meta.detection['spec']))


def _with_tuples(values: dict[str, Any]) -> dict[str, Any]:
    """JSON has lists only."""
    return values | {name: tuple(value) for name, value in values.items() if isinstance(value, list)}


class GraphRcnn:
    """Warped regions through one graph, a batch at a time."""

    def __init__(self, folder: Path, meta: Meta, spec: RcnnSpec) -> None:
        self._spec, self._classes, self._given = spec, len(meta.labels), meta.preprocessing
        side = self._given.side
        self._graph = Graph(folder / GRAPH, np.zeros((1, side, side, 3), np.uint8))

    def __call__(self, photo: Upright, proposals: np.ndarray) -> Detections:
        spec, classes = self._spec, self._classes
        boxes = usable(proposals, spec.proposals)
        height, width, _ = photo.pixels.shape
        own = boxes * np.array([width / photo.width, height / photo.height] * 2)
        rows = [np.zeros((0, 5 * classes), np.float32)]
        for start in range(0, len(own), spec.embed_batch):
            part = own[start : start + spec.embed_batch]
            crops = [
                warped(photo.pixels, box, self._given.side, spec.context, self._given.mean) for box in part
            ]
            rows.append(self._graph.run(np.stack(crops)))
        return as_shares(settled(boxes, np.concatenate(rows), classes, photo, spec))


class GraphFastRcnn:
    """The photo's map by one graph, its pooled regions by another."""

    def __init__(self, folder: Path, meta: Meta, spec: FastRcnnSpec) -> None:
        self._spec, self._classes, self._stride = spec, len(meta.labels), meta.detection['stride']
        self._map = Graph(folder / GRAPH, np.zeros((1, 128, 160, 3), np.uint8))
        pooled = (1, meta.detection['channels'], spec.pool, spec.pool)
        self._heads = Graph(folder / HEADS, np.zeros(pooled, np.float32))

    def __call__(self, photo: Upright, proposals: np.ndarray) -> Detections:
        spec = self._spec
        boxes = usable(proposals, spec.proposals)
        pixels, scale = resized(photo, spec)
        regions = (boxes * np.array(scale * 2)).astype(np.float32)
        # Regions that round to the same cells are pooled alike: they are asked for once (published test.py).
        first, back = _distinct(regions, self._stride, spec.align)
        features = self._map.run(np.ascontiguousarray(pixels[None]))[0]
        pooled = pool_regions(features, regions[first], spec.pool, 1 / self._stride, align=spec.align)
        if not len(pooled):
            return settled(boxes, np.zeros((0, 5 * self._classes)), self._classes, photo, spec)
        return settled(boxes, self._heads.run(pooled)[back], self._classes, photo, spec)


def usable(proposals: np.ndarray, limit: int) -> np.ndarray:
    """The first `limit` that have an area, float64."""
    boxes = proposals[:limit].astype(float)
    return boxes[areas(boxes) > 0]


def _distinct(regions: np.ndarray, stride: int, align: bool) -> tuple[np.ndarray, np.ndarray]:
    if align:
        return np.arange(len(regions)), np.arange(len(regions))
    _, first, back = np.unique(np.round(regions / stride), axis=0, return_index=True, return_inverse=True)
    return first, back.reshape(-1)


def settled(
    boxes: np.ndarray, rows: np.ndarray, classes: int, photo: Upright, spec: RcnnSpec | FastRcnnSpec
) -> Detections:
    """Scores and shifts (n, 5 * classes) become detections."""
    scores, shifts = rows[:, :classes].astype(float), rows[:, classes:].reshape(-1, 4).astype(float)
    moved = decode(np.repeat(boxes, classes, 0), shifts).reshape(len(boxes), classes, 4)
    return settle(
        moved,
        scores,
        photo.width,
        photo.height,
        min_score=spec.min_score,
        per_class=spec.per_class,
        nms_iou=spec.nms_iou,
    )
