"""Fast R-CNN's inference around its network (published test.py).

The same for torch and for the sealed graphs. No torch.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np

from transfer.data.decode import UprightImage
from transfer.regions.postprocess import Detections, postprocess_predictions, usable_proposals
from transfer.regions.resize import resize_photo, scale_boxes
from transfer.regions.roi_pooling import pool_regions
from transfer.serving.artifacts import GRAPH, ArtifactMeta
from transfer.serving.openvino_engine import OpenVinoGraph
from transfer.spec.errors import CorruptArtifactError
from transfer.spec.fast_rcnn import FAST_RCNN, FastRcnnSpec

HEADS_GRAPH = 'heads.xml'


class FastRcnnInference:
    """A photo and its proposals become detections.

    One pass of the backbone, one pass of the heads over all pooled regions.
    """

    def __init__(
        self,
        extract_features: Callable[[np.ndarray], np.ndarray],
        predict: Callable[[np.ndarray], np.ndarray],
        classes: int,
        stride: int,
        spec: FastRcnnSpec,
    ) -> None:
        """`extract_features`: uint8 RGB (1, h, w, 3) -> (1, channels, h / stride, w / stride).

        `predict`: pooled regions (n, channels, pool, pool) -> (n, 5 * classes), probabilities and then
        shifts.
        """
        self._extract_features, self._predict = extract_features, predict
        self._classes, self._stride, self._spec = classes, stride, spec

    def __call__(self, photo: UprightImage, proposals: np.ndarray) -> Detections:
        """`proposals` (n, 4) in pixels of the photo. No proposals give no detections."""
        spec = self._spec
        boxes = usable_proposals(proposals, spec.proposals)
        rows = np.zeros((0, 5 * self._classes), np.float32)
        if len(boxes):
            pixels, scale = resize_photo(photo, spec)
            regions = scale_boxes(boxes, scale)
            first, inverse = distinct_regions(regions, self._stride, align=spec.align)
            features = self._extract_features(np.ascontiguousarray(pixels[None]))[0]
            pooled = pool_regions(features, regions[first], spec.pool, 1 / self._stride, align=spec.align)
            rows = self._predict(pooled)[inverse]
        return postprocess_predictions(boxes, rows, self._classes, photo.width, photo.height, spec)


def distinct_regions(regions: np.ndarray, stride: int, *, align: bool) -> tuple[np.ndarray, np.ndarray]:
    """Regions that max pooling rounds to the same cells are pooled once.

    RoIAlign rounds nothing, so there all are distinct.

    Returns the indices of the first of each, and for every region its place among those.
    """
    if align:
        return np.arange(len(regions)), np.arange(len(regions))
    _, first, inverse = np.unique(np.round(regions / stride), axis=0, return_index=True, return_inverse=True)
    return first, inverse.reshape(-1)


def load_graphs(folder: Path, meta: ArtifactMeta) -> FastRcnnInference:
    """Inference by the artifact's two OpenVINO graphs.

    RuntimeError when the runtime cannot read them; CorruptArtifactError where meta.json lacks their sizes.
    """
    known, spec = meta.detector, FAST_RCNN.read_options(meta.detector.spec)
    if known.stride is None or known.channels is None:
        raise CorruptArtifactError(f'the model in {folder.name} does not tell the size of its feature map')
    extractor = OpenVinoGraph(folder / GRAPH, np.zeros((1, 128, 160, 3), np.uint8))
    pooled = (1, known.channels, spec.pool, spec.pool)
    heads = OpenVinoGraph(folder / HEADS_GRAPH, np.zeros(pooled, np.float32))
    return FastRcnnInference(extractor.run, heads.run, len(meta.labels), known.stride, spec)
