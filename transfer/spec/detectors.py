"""The registry of detectors. No torch: the web side reads this.

A further kind takes its options in a module of transfer.spec, a package in transfer.detection (see
transfer.detection.registry), and here its line of DETECTORS.
"""

from __future__ import annotations

from typing import Any

from transfer.spec import fast_rcnn, faster_rcnn, rcnn
from transfer.spec.detector_info import DetectorInfo

DETECTORS: dict[str, DetectorInfo[Any]] = {
    info.kind: info
    for info in (
        fast_rcnn.FAST_RCNN,
        faster_rcnn.FASTER_RCNN,
        rcnn.RCNN,
    )
}
DEFAULT = fast_rcnn.FAST_RCNN.kind  # what `auto` means
