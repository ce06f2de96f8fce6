"""R-CNN's inference around its network: the same for torch and for the sealed graph. No torch.

Every proposal is warped and goes through the network alone, which is what makes R-CNN slow.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from transfer.data.decode import UprightImage
from transfer.regions.postprocess import (
    Detections,
    margins_to_scores,
    postprocess_predictions,
    usable_proposals,
)
from transfer.regions.warp import warp_region
from transfer.serving.artifacts import GRAPH, ArtifactMeta, Preprocessing
from transfer.serving.openvino_engine import OpenVinoGraph
from transfer.spec.rcnn import RCNN, RcnnSpec


class RcnnInference:
    """A photo and its proposals become detections; their scores are the SVMs' margins squashed to 0 ... 1."""

    def __init__(
        self,
        predict: Callable[[np.ndarray], np.ndarray],
        classes: int,
        preprocessing: Preprocessing,
        spec: RcnnSpec,
    ) -> None:
        """`predict`: crops, uint8 RGB (n, side, side, 3) -> (n, 5 * classes), margins and then shifts."""
        self._predict, self._classes = predict, classes
        self._preprocessing, self._spec = preprocessing, spec

    def __call__(self, photo: UprightImage, proposals: np.ndarray) -> Detections:
        """`proposals` (n, 4) in pixels of the photo. No proposals give no detections."""
        spec, given = self._spec, self._preprocessing
        boxes = usable_proposals(proposals, spec.proposals)
        rows = [np.zeros((0, 5 * self._classes), np.float32)]
        for crops in crop_batches(photo, boxes, given.side, given.mean, spec):
            rows.append(self._predict(crops))
        margins = postprocess_predictions(
            boxes, np.concatenate(rows), self._classes, photo.width, photo.height, spec
        )
        return margins_to_scores(margins)


def crop_batches(
    photo: UprightImage, boxes: np.ndarray, side: int, mean: tuple[float, ...], spec: RcnnSpec
) -> Iterator[np.ndarray]:
    """The regions `boxes` (n, 4), in the photo's own pixels, warped.

    Uint8 (k, side, side, 3), at most `embed_batch` at once.
    """
    decoded = boxes_as_decoded(photo, boxes)
    for start in range(0, len(decoded), spec.embed_batch):
        part = decoded[start : start + spec.embed_batch]
        yield np.stack([warp_region(photo.pixels, box, side, spec.context, mean) for box in part])


def boxes_as_decoded(photo: UprightImage, boxes: np.ndarray) -> np.ndarray:
    """Boxes in the pixels of the photo as it was decoded, perhaps reduced."""
    height, width, _ = photo.pixels.shape
    return boxes * np.array([width / photo.width, height / photo.height] * 2)


def load_graphs(folder: Path, meta: ArtifactMeta) -> RcnnInference:
    """Inference by the artifact's OpenVINO graph. RuntimeError when the runtime cannot read it."""
    spec, side = RCNN.read_options(meta.detector.spec), meta.preprocessing.side
    graph = OpenVinoGraph(folder / GRAPH, np.zeros((1, side, side, 3), np.uint8))
    return RcnnInference(graph.run, len(meta.labels), meta.preprocessing, spec)
