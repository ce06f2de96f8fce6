"""A small sealed Fast R-CNN with random weights: it finds things where there are none, but by the whole way
of a real one."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from recognition import storage
from recognition.models import Project, TrainedModel
from recognition.models.project import Task
from transfer.runtime.atomic_write import replace_folder
from transfer.serving.artifacts import ArtifactMeta, DetectorMeta, Preprocessing, write_meta
from transfer.spec.report import EngineInfo
from transfer.spec.train_spec import SourceModelSpec

LABELS = ('bolt', 'nut')
SOURCE = SourceModelSpec(
    name='none', architecture='squeezenet1_1', weights='', digest='', classes=3, images=30, side=64
)


def seal(folder: Path, score_threshold: float = 0.05) -> str:
    """Writes the artifact; returns its digest."""
    import torch

    from transfer.detection.fast_rcnn.detector import export
    from transfer.detection.fast_rcnn.model import FastRcnn
    from transfer.spec.fast_rcnn import FastRcnnSpec
    from transfer.zoo.networks.registry import architecture

    torch.manual_seed(0)
    spec = FastRcnnSpec(short_side=96, long_side=160, reduce=8, hidden=(16,), pool=3, class_std=0.3)
    network = architecture(SOURCE.architecture)
    model = FastRcnn(network, network.build(3), len(LABELS), spec).eval()
    given = Preprocessing.of(SOURCE)
    detection = DetectorMeta(
        kind='fast-rcnn',
        spec=dataclasses.asdict(spec),
        stride=model.stride,
        channels=model.channels,
        least_side=spec.short_side,
        proposals='selective-search',
        limit=100,
        score_threshold=score_threshold,
        serving_seconds=0.5,
    )
    with replace_folder(folder) as aside:
        assert export(model, given, aside) == ''
        meta = ArtifactMeta(
            LABELS,
            SOURCE.architecture,
            given,
            1.0,
            EngineInfo('openvino'),
            detection=detection,
        )
        return write_meta(aside, meta)


def row_of(project: Project, folder: Path, digest: str) -> TrainedModel:
    """The project finds things, and this sealed detector is its first version."""
    project.task = Task.DETECTION
    project.save()
    artifact = f'{project.pk}/detector'
    storage.publish_artifact(folder, artifact)
    values = {
        'task': Task.DETECTION,
        'artifact': artifact,
        'digest': digest,
        'labels': list(LABELS),
        'images': 10,
    }
    return TrainedModel.objects.create(project=project, version=1, **values)
