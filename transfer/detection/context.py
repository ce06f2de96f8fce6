"""What the steps of one detector's training share."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from transfer.data.manifests import DetectionManifest
from transfer.detection.registry import get_detector
from transfer.regions.postprocess import Detections
from transfer.runtime.loss_curve import LossCurve
from transfer.runtime.progress import ProgressTracker
from transfer.selection.context import TrainingContext
from transfer.spec.report import Progress, SealedModel
from transfer.spec.train_spec import TrainSpec


@dataclass
class DetectionContext:
    """One training: its photos, its options as this machine can do them, and who hears of it."""

    manifest: DetectionManifest
    spec: TrainSpec
    device: torch.device
    workdir: Path
    cache: Path
    tracker: ProgressTracker
    notes: list[str] = field(default_factory=list)
    checkpoints: Path = field(init=False)  # once the photos are split
    crops: TrainingContext = field(init=False)  # on which sources are compared, once they are cut out

    def __post_init__(self) -> None:
        self.detector = get_detector(self.spec.detector)
        self.info = self.detector.info
        wanted = dataclasses.replace(self.spec.get_options(self.info), seed=self.spec.seed)
        self.options = self.detector.adapt_to_device(wanted, self.device)
        self.proposal_limit = self.detector.proposal_limit(self.options)
        if self.proposal_limit < (limit := self.detector.proposal_limit(wanted)):
            self.notes.append(
                f'Without a GPU {self.info.name} looks at the best {self.proposal_limit} regions of a photo '
                f'instead of {limit:,}.'
            )

    def adapted_spec(self) -> TrainSpec:
        """The spec with the options that this machine can afford."""
        return dataclasses.replace(
            self.spec, detector_options=self.spec.detector_options | {self.info.field: self.options}
        )


@dataclass(frozen=True)
class Evaluation:
    """What the detector finds on the images that it was not trained on."""

    manifest: DetectionManifest
    proposals: Sequence[np.ndarray]
    detections: Sequence[Detections]
    seconds: float  # an image, without proposals


class PhaseReport:
    """A detector's own report of its progress, as one phase of the whole training.

    Its losses make a curve.
    """

    def __init__(self, tracker: ProgressTracker, curve: LossCurve) -> None:
        self._tracker, self._curve = tracker, curve

    def progress(self, progress: Progress) -> None:
        if progress.epoch and progress.loss is not None:
            self._curve.add(progress.epoch, progress.loss)
        self._tracker.update(
            progress.fraction,
            progress.message or None,
            epoch=progress.epoch,
            epochs=progress.epochs,
            loss=progress.loss,
        )

    def instant(self, model: SealedModel) -> None:
        """No detector seals one before it is evaluated."""
