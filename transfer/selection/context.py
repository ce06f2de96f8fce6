"""What every step of one training works with: its images, its machine, its candidates, and who hears of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from p2l.signatures import round_mean_feature
from transfer.data.cache import Pixels, open_pixels
from transfer.data.manifests import Manifest
from transfer.data.splits import assign_folds
from transfer.features.extract import extract_features
from transfer.features.linear_probe import Probe, fit_probe
from transfer.features.network import Machine, Network
from transfer.runtime.progress import ProgressTracker
from transfer.spec.train_spec import SourceModelSpec, TrainSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture


@dataclass(frozen=True)
class ProbedSource:
    """A linear head on one source's frozen features, with its out-of-fold scores."""

    network: Network
    pixels: Pixels
    features: np.ndarray  # float32 (n, d)
    probe: Probe


@dataclass
class TrainingContext:
    """One training's tools. What was decoded or learned once is not done again."""

    manifest: Manifest
    spec: TrainSpec
    device: torch.device
    cache: Path
    course: ProgressTracker
    notes: list[str] = field(default_factory=list)
    signature: dict[str, Any] = field(
        default_factory=dict
    )  # TrainReport.signature, once the reference has looked
    _learned: dict[str, ProbedSource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.labels = np.array([image.label for image in self.manifest.images])
        self.classes = len(self.manifest.labels)
        self.machine = Machine(self.device, self.spec.precision, self.cache, self.note, self.course.beat)

    def note(self, sentence: str) -> None:
        """A sentence for the report; said twice, it is kept once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def pixels(self, side: int) -> Pixels:
        return open_pixels(self.manifest, side, self.cache / 'pixels', self.course.beat)

    def features(
        self, source: SourceModelSpec, rows: np.ndarray | None = None
    ) -> tuple[Network, Pixels, np.ndarray]:
        """A source, the images (or these rows of them) as it sees them, and what its head sees.

        UnusableSourceError, UnreadableImageError.
        """
        network = Network(source, architecture(source.architecture), load(source))
        pixels = self.pixels(source.side)
        pixels = pixels if rows is None else pixels.rows(rows)
        features = extract_features(network, pixels, self.machine)
        if self.spec.reference is not None and source.digest == self.spec.reference.digest:
            # Of P2L's feature, the positive part: should this model become a source, it is signed already.
            mean = np.maximum(features, 0).mean(0, dtype=np.float64)
            self.signature = {'reference': source.digest, 'mean': round_mean_feature(mean)}
        return network, pixels, features

    def learn(self, source: SourceModelSpec) -> ProbedSource:
        """The linear head on that source. UnusableSourceError, UnreadableImageError."""
        if source.name not in self._learned:
            network, pixels, features = self.features(source)
            folds = assign_folds(self.labels, list(pixels.digests), self.spec.folds, self.spec.seed)
            self._learned[source.name] = ProbedSource(
                network, pixels, features, fit_probe(features, self.labels, self.classes, folds)
            )
            self.course.beat(1.0)
        return self._learned[source.name]

    def let_go_of_all_but(self, source: SourceModelSpec) -> None:
        """The networks that were only probed: five large ones would be gigabytes."""
        self._learned = {source.name: self._learned[source.name]}
