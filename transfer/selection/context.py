"""What all steps of one training share: its images, device, candidates and progress."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from p2l.signatures import round_mean_feature
from transfer.data.cache import Pixels, open_pixels
from transfer.data.manifests import Manifest
from transfer.data.near_duplicates import DuplicateGroups, find_near_duplicates
from transfer.data.splits import assign_folds
from transfer.features.extract import extract_features, last_layer
from transfer.features.linear_probe import Probe, fit_probe
from transfer.features.network import Machine, Network
from transfer.runtime.progress import ProgressTracker
from transfer.spec.report import DataSignature
from transfer.spec.train_spec import SourceModelSpec, TrainSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture


@dataclass(frozen=True)
class ProbedSource:
    """A linear head on one source's frozen features, with its out-of-fold scores."""

    network: Network
    pixels: Pixels
    features: np.ndarray  # float32 (n, d): see transfer.features.extract.extract_features
    probe: Probe
    folds: np.ndarray  # int (n,): the fold of each image

    @property
    def has_stage_head(self) -> bool:
        """Whether its linear head sees several stages of the network."""
        return self.features.shape[1] > self.network.architecture.feature_size


@dataclass
class TrainingContext:
    """One training. What was decoded or probed once is not done again."""

    manifest: Manifest
    spec: TrainSpec
    device: torch.device
    cache: Path
    tracker: ProgressTracker
    notes: list[str] = field(default_factory=list)
    signature: DataSignature | None = None  # once the reference model has seen the images
    duplicates: DuplicateGroups | None = None  # once the first source's pixels are there, unless given
    _probed: dict[str, ProbedSource] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.labels = np.array([image.label for image in self.manifest.images])
        self.classes = len(self.manifest.labels)
        self.machine = Machine(self.device, self.spec.precision, self.cache, self.note, self.tracker.update)

    def note(self, sentence: str) -> None:
        """Add a sentence to the report's notes, once."""
        if sentence not in self.notes:
            self.notes.append(sentence)

    def open_pixels(self, side: int) -> Pixels:
        """The images at that input side, decoded or from the cache. UnreadableImageError."""
        return open_pixels(self.manifest, side, self.cache / 'pixels', self.tracker.update)

    def extract_features(
        self, source: SourceModelSpec, rows: np.ndarray | None = None
    ) -> tuple[Network, Pixels, np.ndarray]:
        """Load a source; return it, the images (or these rows of them) at its input side, and their features.

        UnusableSourceError, UnreadableImageError.
        """
        network = Network(source, architecture(source.architecture), load(source))
        pixels = self.open_pixels(source.side)
        pixels = pixels if rows is None else pixels.rows(rows)
        features = extract_features(network, pixels, self.machine)
        if self.spec.reference is not None and source.digest == self.spec.reference.digest:
            positive = np.maximum(last_layer(network, features), 0)
            mean = positive.mean(0, dtype=np.float64)
            self.signature = DataSignature(source.digest, round_mean_feature(mean))
        return network, pixels, features

    def group_images(self, pixels: Pixels) -> tuple[str, ...]:
        """The group of near-duplicates of each image, which every split keeps together.

        They are searched once, in the pixels of the first call.
        """
        if self.duplicates is None:
            self.duplicates = find_near_duplicates(pixels.array, pixels.digests, self.labels)
        return self.duplicates.groups

    def probe(self, source: SourceModelSpec) -> ProbedSource:
        """Cross-validate a linear head on that source. UnusableSourceError, UnreadableImageError."""
        if source.name not in self._probed:
            network, pixels, features = self.extract_features(source)
            folds = assign_folds(self.labels, self.group_images(pixels), self.spec.folds, self.spec.seed)
            self._probed[source.name] = ProbedSource(
                network, pixels, features, fit_probe(features, self.labels, self.classes, folds), folds
            )
            self.tracker.update(1.0)
        return self._probed[source.name]

    def release_others(self, *kept: SourceModelSpec) -> None:
        """Drop the networks that were only probed: five large ones are gigabytes."""
        self._probed = {source.name: self._probed[source.name] for source in kept}
