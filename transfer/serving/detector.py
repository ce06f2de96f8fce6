"""A sealed detector answers: bytes of a photo in, boxes out. On a CPU without torch."""

from __future__ import annotations

import statistics
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from transfer.data.decode import UprightImage, decode_image
from transfer.detection import registry
from transfer.regions.postprocess import Detections, Inference
from transfer.regions.proposals import propose, propose_for_photo
from transfer.serving.artifacts import WEIGHTS, ArtifactMeta, DetectorMeta, read_meta, verify
from transfer.spec.detectors import DETECTORS
from transfer.spec.errors import CorruptArtifactError, OverloadedError

WAITING = 32  # photos that may wait for a lane; a detection takes a second, so more would wait for minutes
# Bytes held beside the weights, and in multiples of them: feature maps of whole photos are large.
OVERHEAD, PACKED = 96 * 2**20, 3.0


class DetectionPredictor:
    """One detector, loaded.

    Safe to call from many threads: `workers` photos are processed side by side, the rest wait.
    """

    def __init__(self, folder: Path, *, digest: str = '', device: str = 'cpu', workers: int = 1) -> None:
        """Check every file, then load. `digest`: the artifact's, if known.

        CorruptArtifactError, IncompatibleArtifactError.
        """
        self.meta: ArtifactMeta = read_meta(folder)
        if digest and self.meta.digest != digest:
            raise CorruptArtifactError(f'the model in {folder.name} is not the one that was trained')
        verify(folder, self.meta)
        self._known = self.meta.detector
        self.labels = self.meta.labels
        self.size = int(OVERHEAD + PACKED * (folder / WEIGHTS).stat().st_size)
        self._device = device
        self._infer = load_inference(folder, self.meta, device)
        self._warm_up()
        self._workers = threading.Semaphore(workers)
        self._places = threading.Semaphore(workers + WAITING)

    @property
    def kind(self) -> str:
        """A key of transfer.spec.detectors.DETECTORS."""
        return self._known.kind

    @property
    def threshold(self) -> float:
        """The score from which on its detections are shown: best on the photos that it was measured on."""
        return self._known.score_threshold

    def detect(self, image: bytes) -> tuple[Detections, UprightImage]:
        """What is on a photo, best first, in its own upright pixels.

        UnreadableImageError, OverloadedError.
        """
        if not self._places.acquire(blocking=False):
            raise OverloadedError(f'{WAITING} images are waiting')
        try:
            with self._workers:
                photo = decode_image(image, self._known.least_side)
                return self._infer(photo, propose_regions(image, self._known, self._device)), photo
        finally:
            self._places.release()

    def _warm_up(self) -> None:
        """One empty photo: what is compiled on its first use (20 s once on a machine, a second in a process)
        is ready.
        """
        blank = np.zeros((48, 64, 3), np.uint8)
        proposals = propose_regions(blank, self._known, self._device)
        whole = np.array([[0, 0, 64, 48]], np.float32)
        self._infer(UprightImage(blank, 64, 48), np.concatenate([proposals, whole]))


def propose_regions(photo: bytes | np.ndarray, known: DetectorMeta, device: str) -> np.ndarray:
    """(n, 4) proposals of an encoded photo or of pixels, for the detector of which `known` tells.

    None for a kind that proposes its own. One to which every region costs a pass of the network gets fewer on
    a CPU, so that it answers within seconds there, though a GPU trained it.
    """
    info, limit, method = DETECTORS[known.kind], known.limit, known.proposals
    if info.proposes_regions:
        return np.zeros((0, 4), np.float32)
    if info.crops_regions and device == 'cpu':
        limit = min(limit, info.read_options(known.spec).cpu_proposals)
    if isinstance(photo, np.ndarray):
        return propose(photo, method, limit)
    return propose_for_photo(photo, method, limit)


def measure_seconds(infer: Inference, photos: Sequence[bytes], known: DetectorMeta) -> float:
    """Seconds that a photo costs in service on this CPU, from its bytes to its boxes: the median of some.

    The lesser of a clock's seconds, which a busy machine stretches, and the processor's, of which two cores
    spend twice as many.
    """
    seconds = []
    for photo in photos:
        started, processed = time.perf_counter(), time.process_time()
        infer(decode_image(photo, known.least_side), propose_regions(photo, known, 'cpu'))
        seconds.append(min(time.perf_counter() - started, time.process_time() - processed))
    return statistics.median(seconds)


def load_inference(folder: Path, meta: ArtifactMeta, device: str) -> Inference:
    """The artifact's inference: by its graphs on a CPU, by torch on a GPU or where there are no graphs."""
    if device != 'cpu' or meta.engine.name != 'openvino':
        # Only here: torch costs 0.7 GB of memory, which the graphs spare.
        from transfer.serving.torch_detector import load_torch

        return load_torch(folder, meta, device)
    try:
        return registry.load_graphs(folder, meta)
    except RuntimeError as error:  # the files are those that were sealed, yet this runtime cannot read them
        raise CorruptArtifactError(
            f'the graph of {folder.name} cannot be loaded: {str(error)[:200]}'
        ) from error
