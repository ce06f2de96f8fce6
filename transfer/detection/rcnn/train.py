"""Training R-CNN, stage by stage: finetune on warped regions, extract features once, an SVM and a box regressor a class."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from transfer.data.manifests import DetectionManifest
from transfer.detection.rcnn import regress, svm
from transfer.detection.rcnn.detector import Rcnn
from transfer.detection.rcnn.embedding import Features, embed_all
from transfer.detection.rcnn.finetune import SHARE, finetune
from transfer.detection.rcnn.regions import regions
from transfer.spec.errors import TrainingError
from transfer.spec.rcnn import RcnnSpec
from transfer.spec.report import Progress, Report
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture


def train(
    manifest: DetectionManifest,
    proposals: Sequence[np.ndarray],
    source: SourceModelSpec,
    spec: RcnnSpec,
    workdir: Path,
    report: Report,
    device: str = 'cpu',
) -> Rcnn:
    """A detector for the manifest's classes, begun from the source's weights; `proposals` in the manifest's order.

    Features lie in `workdir` meanwhile. `spec.steps` 0 leaves the network as it is. TrainingError when no image has a box.
    """
    classes = len(manifest.labels)
    pairs = zip(manifest.images, proposals, strict=True)
    known = [
        entry
        for entry in (regions(image, found, spec.proposals, classes) for image, found in pairs)
        if len(entry.boxes)
    ]
    if not any(entry.truths for entry in known):
        raise TrainingError('No image has a box to learn from.')
    torch.manual_seed(spec.seed)
    network, model = (
        architecture(source.architecture),
        load(source).to(device).to(memory_format=torch.channels_last),
    )
    if spec.steps:
        finetune(network, model, known, classes, source, spec, report, workdir / 'rcnn-finetuned.safetensors')
    store = Features(workdir / 'rcnn-features')
    for number in range(len(known)):
        if not store.has(number):
            embed_all(network, model, known, source, spec, store, number)
        done = SHARE + 0.4 * (number + 1) / len(known)
        report.progress(Progress('features', done, f'{number + 1} of {len(known)} images'))
    scale = svm.scale_of(known, store.get, spec)
    svms, regressors = [], []
    for label, name in enumerate(manifest.labels):
        svms.append(svm.train_class(label, known, store.get, scale, spec))
        regressors.append(regress.train_class(label, known, store.get, scale, spec))
        report.progress(Progress('svm', 0.9 + 0.1 * (label + 1) / classes, name))
    return Rcnn(network, model, source, spec, scale, tuple(svms), tuple(regressors))
