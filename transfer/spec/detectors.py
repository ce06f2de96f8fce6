"""The kinds of detectors: their names, their options and what sets them apart.

No torch: the web side reads this.

A further kind takes one row here, a field of TrainSpec for its options and a folder in transfer/detection
(see transfer.detection.registry).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from transfer.spec.fast_rcnn import FastRcnnSpec
from transfer.spec.faster_rcnn import FasterRcnnSpec
from transfer.spec.rcnn import RcnnSpec

Options = TypeVar('Options')
DetectorOptions = FastRcnnSpec | FasterRcnnSpec | RcnnSpec


@dataclass(frozen=True)
class DetectorInfo(Generic[Options]):
    """What is known of a kind without training one. All sentences are shown to people."""

    kind: str  # in TrainSpec.detector, reports, artifacts and REST
    field: str  # of TrainSpec that holds its options; also its package in transfer.detection
    options: type[Options]
    name: str
    summary: str  # what to know when choosing; begins in lower case
    why: str  # the sentence of the report
    curve_note: str = 'The training loss after each epoch.'
    cost_note: str = ''  # beside what a photo costs
    # Each region goes through the whole network alone: any source fits, and every region costs a pass.
    crops_regions: bool = False
    # It needs no proposals, and its own are not reported.
    proposes_regions: bool = False

    def read_options(self, values: Mapping[str, Any]) -> Options:
        """Options from an artifact's JSON, which has lists where there were tuples."""
        return self.options(
            **{name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
        )


FAST_RCNN = DetectorInfo(
    kind='fast-rcnn',
    field='fast_rcnn',
    options=FastRcnnSpec,
    name='Fast R-CNN',
    summary='fast',
    why=(
        'Fast R-CNN runs the network once on a photo and classifies each proposed region from the feature '
        'map.'
    ),
    curve_note=(
        'The training loss after each epoch. '
        'In the first epochs only the new layers are trained, then all of them.'
    ),
)
FASTER_RCNN = DetectorInfo(
    kind='faster-rcnn',
    field='faster_rcnn',
    options=FasterRcnnSpec,
    name='Faster R-CNN',
    summary='proposes regions itself; runs in PyTorch, needs more memory',
    why='Faster R-CNN proposes its own regions.',
    cost_note='It runs in PyTorch and takes 0.8 GB of memory in the web server.',
    proposes_regions=True,
)
RCNN = DetectorInfo(
    kind='rcnn',
    field='rcnn',
    options=RcnnSpec,
    name='R-CNN',
    summary='runs the network on every region, slow',
    why='R-CNN runs the network on each proposed region: slow to predict, but it needs few boxes.',
    curve_note=(
        'The training loss after each step of the network; the SVMs that are trained after it have no curve.'
    ),
    cost_note='R-CNN runs the network on every region separately; Fast R-CNN is many times faster.',
    crops_regions=True,
)
DETECTORS: dict[str, DetectorInfo[Any]] = {info.kind: info for info in (FAST_RCNN, FASTER_RCNN, RCNN)}
DEFAULT = FAST_RCNN.kind  # what `auto` means
