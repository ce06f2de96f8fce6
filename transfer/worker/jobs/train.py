"""Train a classifier or a detector: rows become a manifest, the learning side makes a sealed model, and that
becomes a row."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from recognition import storage
from recognition.datasets import manifests
from recognition.models.job import JobKind
from recognition.training import results
from transfer.data.manifests import DetectionManifest, Manifest
from transfer.spec.report import Report, SealedModel
from transfer.spec.train_spec import TrainSpec
from transfer.worker.jobs.attempt import Attempt

Pipeline = Callable[[Manifest | DetectionManifest, TrainSpec, Path, Report, Path], SealedModel]


def train(attempt: Attempt, pipeline: Pipeline | None = None) -> None:
    """Run a training to its end. `pipeline` (in tests) replaces transfer.pipeline.train."""
    job, run = attempt.job, pipeline or _load_pipeline()
    assert job.project is not None  # trainings have one
    manifest = (
        manifests.build_detection_manifest(job.project)
        if job.kind == JobKind.DETECTION
        else manifests.build_manifest(job.project)
    )
    spec = TrainSpec.from_json(job.spec)
    sealed = run(manifest, spec, attempt.folder, attempt.report, storage.cache_folder('training'))
    results.save_final_model(job, attempt.number, sealed)


def _load_pipeline() -> Pipeline:
    from transfer.pipeline import train as run  # torch

    return run
