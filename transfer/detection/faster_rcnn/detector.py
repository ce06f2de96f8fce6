"""Faster R-CNN as a transfer.detection.detector.Detector."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import torch

from transfer.detection.backbone_export import build_source_network
from transfer.detection.detector import Detector, DetectorTrainingData, TrainedDetector
from transfer.detection.export import load_weights, write_weights
from transfer.detection.faster_rcnn import train as training
from transfer.detection.faster_rcnn.model import build, torch_inference
from transfer.detection.sgd import epochs_for
from transfer.regions.postprocess import Inference
from transfer.regions.proposals import LIMIT
from transfer.serving.artifacts import ArtifactMeta
from transfer.spec.faster_rcnn import FASTER_RCNN, FasterRcnnSpec
from transfer.spec.report import Report
from transfer.zoo.networks.registry import architecture

WHY_NO_GRAPH = 'Faster R-CNN proposes its own regions, which graphs do not hold: torch serves it'


class FasterRcnnDetector:
    info = FASTER_RCNN

    def adapt_to_device(self, options: FasterRcnnSpec, device: torch.device) -> FasterRcnnSpec:
        if device.type == 'cuda':
            return options
        return dataclasses.replace(options, short_side=min(options.short_side, options.cpu_short_side))

    def proposal_limit(self, options: FasterRcnnSpec) -> int:
        """It looks at none; the sources are compared on crops of so many."""
        return LIMIT

    def scale_schedule(self, options: FasterRcnnSpec, images: int, all_images: int) -> FasterRcnnSpec:
        return dataclasses.replace(options, epochs=epochs_for(images, options, training.LEAST_EPOCHS))

    def train(self, data: DetectorTrainingData, options: FasterRcnnSpec, report: Report) -> TrainedDetector:
        source, checkpoint = data.source, data.workdir / 'faster-rcnn.safetensors'
        model = training.train(data.manifest, source, options, report, data.device.type, checkpoint)

        def export(folder: Path) -> str:
            write_weights(model, folder)
            return WHY_NO_GRAPH

        return TrainedDetector(
            images=len(data.manifest.images),
            infer=torch_inference(model),
            export=export,
            options=options,
            least_side=options.short_side,
            build_source_network=lambda: build_source_network(source, model.backbone.body),
        )

    def load(self, folder: Path, meta: ArtifactMeta, device: str) -> Inference:
        network, given = architecture(meta.architecture), meta.preprocessing
        options = FASTER_RCNN.read_options(meta.detector.spec)
        model = build(network, network.build(2), len(meta.labels), options, given.mean, given.std)
        load_weights(model, folder, meta)
        return torch_inference(model.eval().to(device))


DETECTOR: Detector[FasterRcnnSpec] = FasterRcnnDetector()
