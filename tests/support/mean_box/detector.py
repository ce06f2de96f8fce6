"""The mean box as a transfer.detection.detector.Detector."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from transfer.spec.mean_box import MEAN_BOX, MeanBoxSpec

from transfer.data.decode import UprightImage
from transfer.detection.detector import Detector, DetectorTrainingData, TrainedDetector
from transfer.detection.export import load_weights, write_weights
from transfer.regions.postprocess import Detections, Inference
from transfer.serving.artifacts import ArtifactMeta
from transfer.spec.report import Report
from transfer.zoo.loading import load


class MeanBox(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer('box', torch.zeros(4))  # shares of width and height
        self.register_buffer('label', torch.zeros(1))


class MeanBoxDetector:
    info = MEAN_BOX

    def adapt_to_device(self, options: MeanBoxSpec, device: torch.device) -> MeanBoxSpec:
        return options

    def proposal_limit(self, options: MeanBoxSpec) -> int:
        return 20

    def scale_schedule(self, options: MeanBoxSpec, images: int, all_images: int) -> MeanBoxSpec:
        return options

    def train(self, data: DetectorTrainingData, options: MeanBoxSpec, report: Report) -> TrainedDetector:
        labels = [box.label for image in data.manifest.images for box in image.boxes]
        model = MeanBox()
        model.label[0] = max(set(labels), key=labels.count)
        model.box[:] = options.stretch * torch.tensor(
            [
                [box.x0 / image.width, box.y0 / image.height, box.x1 / image.width, box.y1 / image.height]
                for image in data.manifest.images
                for box in image.boxes
            ]
        ).mean(0)

        def export(folder: Path) -> str:
            write_weights(model, folder)
            return 'it is no network'

        return TrainedDetector(
            images=len(data.manifest.images),
            infer=inference(model),
            export=export,
            options=options,
            least_side=64,
            build_source_network=lambda: load(data.source),
        )

    def load(self, folder: Path, meta: ArtifactMeta, device: str) -> Inference:
        model = MeanBox()
        load_weights(model, folder, meta)
        return inference(model)


def inference(model: MeanBox) -> Inference:
    def infer(photo: UprightImage, proposals: np.ndarray) -> Detections:
        box = model.box.numpy() * ([photo.width, photo.height] * 2)
        return Detections(box[None].astype(np.float32), np.ones(1, np.float32), np.array([int(model.label)]))

    return infer


DETECTOR: Detector[MeanBoxSpec] = MeanBoxDetector()
