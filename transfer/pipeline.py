"""Train a model: a classifier from labelled images, a detector from images with boxes."""

from __future__ import annotations

from pathlib import Path

from transfer.classification.train import train_classifier
from transfer.data.manifests import DetectionManifest, Manifest
from transfer.detection import train as detection_train
from transfer.spec.report import Report, SealedModel
from transfer.spec.train_spec import TrainSpec


def train(
    manifest: Manifest | DetectionManifest, spec: TrainSpec, workdir: Path, report: Report, cache: Path
) -> SealedModel:
    """Train by the type of the manifest; returns the sealed model, in a folder of `workdir`.

    `workdir` holds the checkpoints: called again with the same one, the training goes on where it was
    interrupted and ends the same. `cache` holds what later trainings may use again (pixels, features) and may
    be emptied at any time. Errors: TrainingError and its kinds, each with a sentence for the user;
    JobCancelledError, from the report.
    """
    if isinstance(manifest, DetectionManifest):
        return detection_train.train(manifest, spec, workdir, report, cache)
    return train_classifier(manifest, spec, workdir, report, cache)
