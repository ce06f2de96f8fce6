"""What every kind of detector offers: options for a machine, training, export, and inference by torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import nn

from transfer.data.manifests import DetectionManifest
from transfer.regions.postprocess import Inference
from transfer.serving.artifacts import ArtifactMeta
from transfer.spec.detector_info import DetectorInfo, Options
from transfer.spec.report import EpochMetrics, Report
from transfer.spec.train_spec import SourceModelSpec


@dataclass(frozen=True)
class DetectorTrainingData:
    """What a detector is trained on."""

    manifest: DetectionManifest
    proposals: Sequence[np.ndarray]  # of its images, in order: (n, 4) pixels of the upright image
    source: SourceModelSpec  # the source model it starts from
    workdir: Path  # for checkpoints
    device: torch.device


@dataclass(frozen=True)
class TrainedDetector:
    """A detector in memory."""

    images: int  # that it was trained on
    infer: Inference
    # writes weights and graphs into a folder; returns why there are no graphs, or ''
    export: Callable[[Path], str]
    options: Any  # by which it was trained: the dataclass of its DetectorInfo
    least_side: int  # pixels: what the shorter side of a photo is decoded to at least
    build_source_network: Callable[[], nn.Module]  # the source's network with the backbone that was trained
    curve: tuple[EpochMetrics, ...] = ()  # its loss by epoch: TrainReport.curve
    stride: int | None = None  # of a feature map that regions are pooled from, in pixels
    channels: int | None = None  # of that feature map


class Detector(Protocol[Options]):
    """One kind of detector. `Options` is the dataclass that its DetectorInfo names."""

    @property
    def info(self) -> DetectorInfo[Options]: ...

    def adapt_to_device(self, options: Options, device: torch.device) -> Options:
        """The options that this machine can afford: without a GPU fewer regions or smaller photos."""

    def proposal_limit(self, options: Options) -> int:
        """How many proposals of an image it looks at."""

    def scale_schedule(self, options: Options, images: int, all_images: int) -> Options:
        """The options by which each of `all_images` is seen as often as each of `images` is by these."""

    def train(self, data: DetectorTrainingData, options: Options, report: Report) -> TrainedDetector:
        """TrainingError when no image has a box, or the loss diverges; Cancelled from the report."""

    def load(self, folder: Path, meta: ArtifactMeta, device: str) -> Inference:
        """Inference by torch from an artifact's weights. CorruptArtifactError, IncompatibleArtifactError."""
