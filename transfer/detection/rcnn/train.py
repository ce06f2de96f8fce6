"""Training R-CNN, stage by stage.

Finetune on warped regions, extract features once, an SVM and a box regressor a class.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from transfer.data.decode import decode_image
from transfer.data.manifests import DetectionManifest
from transfer.detection.matching import match_regions
from transfer.detection.rcnn import regress, svm
from transfer.detection.rcnn.embedding import LEAST_SIDE, FeatureStore, embed_regions
from transfer.detection.rcnn.finetune import SHARE, finetune
from transfer.detection.rcnn.model import Rcnn
from transfer.spec.errors import TrainingError
from transfer.spec.rcnn import RcnnSpec
from transfer.spec.report import Progress, Report
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.loading import load
from transfer.zoo.networks.registry import architecture

SVM_SHARE = 0.1  # of the whole training's time; the features take what finetuning and SVMs leave


def train(
    manifest: DetectionManifest,
    proposals: Sequence[np.ndarray],
    source: SourceModelSpec,
    spec: RcnnSpec,
    workdir: Path,
    report: Report,
    device: str = 'cpu',
) -> Rcnn:
    """Train a detector for the manifest's classes from the source's weights.

    `proposals`: of each image, in the manifest's order, (n, 4) pixels of the upright image. Checkpoints and
    features lie in `workdir`. `spec.steps` 0 leaves the network as it is. TrainingError when no image has a
    box, or the loss diverges.
    """
    classes = len(manifest.labels)
    regions = [
        match_regions(image, boxes, spec.proposals)
        for image, boxes in zip(manifest.images, proposals, strict=True)
    ]
    regions = [entry for entry in regions if len(entry.boxes)]
    if not any(entry.ground_truths for entry in regions):
        raise TrainingError('No image has a box to learn from.')
    torch.manual_seed(spec.seed)
    network = architecture(source.architecture)
    model = load(source).to(device).to(memory_format=torch.channels_last)
    if spec.steps:
        checkpoint = workdir / 'rcnn-finetuned.safetensors'
        finetune(network, model, regions, classes, source, spec, report, checkpoint)
    store = FeatureStore(workdir / 'rcnn-features')
    for number, entry in enumerate(regions):
        if not store.has(number):
            photo = decode_image(entry.image.path, LEAST_SIDE)
            store.write(number, embed_regions(network, model, photo, entry.boxes, source, spec))
        done = SHARE + (1 - SHARE - SVM_SHARE) * (number + 1) / len(regions)
        report.progress(Progress('features', done, f'{number + 1} of {len(regions)} images'))
    scale = svm.feature_scale(regions, store.read, spec)
    svms, regressors = [], []
    for label, name in enumerate(manifest.labels):
        svms.append(svm.train_class(label, regions, store.read, scale, spec))
        regressors.append(regress.train_class(label, regions, store.read, scale, spec))
        done = 1 - SVM_SHARE * (1 - (label + 1) / classes)
        report.progress(Progress('svm', done, name))
    return Rcnn(network, model, source, spec, scale, tuple(svms), tuple(regressors))
