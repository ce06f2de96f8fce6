"""R-CNN as a transfer.detection.detector.Detector."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import torch

from transfer.detection.backbone_export import copy_stages
from transfer.detection.detector import Detector, DetectorTrainingData, TrainedDetector
from transfer.detection.export import load_weights, try_export, write_graph, write_weights
from transfer.detection.rcnn import train as training
from transfer.detection.rcnn.embedding import LEAST_SIDE
from transfer.detection.rcnn.model import margins_network, torch_inference
from transfer.regions.postprocess import Inference
from transfer.serving.artifacts import GRAPH, ArtifactMeta, Preprocessing
from transfer.serving.export import ServedNetwork
from transfer.spec.rcnn import RCNN, RcnnSpec
from transfer.spec.report import Report
from transfer.zoo.networks.registry import architecture


class RcnnDetector:
    info = RCNN

    def adapt_to_device(self, options: RcnnSpec, device: torch.device) -> RcnnSpec:
        if device.type == 'cuda':
            return options
        return dataclasses.replace(options, proposals=min(options.proposals, options.cpu_proposals))

    def proposal_limit(self, options: RcnnSpec) -> int:
        return options.proposals

    def scale_schedule(self, options: RcnnSpec, images: int, all_images: int) -> RcnnSpec:
        return dataclasses.replace(options, steps=round(options.steps * all_images / images))

    def train(self, data: DetectorTrainingData, options: RcnnSpec, report: Report) -> TrainedDetector:
        source = data.source
        trained = training.train(
            data.manifest, data.proposals, source, options, data.workdir, report, data.device.type
        )
        network, preprocessing = margins_network(trained), Preprocessing.of(source)

        def export(folder: Path) -> str:
            write_weights(network, folder)
            served = ServedNetwork(copy.deepcopy(network).cpu(), preprocessing)
            crops = torch.zeros(2, preprocessing.side, preprocessing.side, 3, dtype=torch.uint8)
            return try_export(lambda: write_graph(served, crops, {0: 'n'}, folder / GRAPH), folder)

        classes, device = len(data.manifest.labels), data.device.type
        return TrainedDetector(
            images=len(data.manifest.images),
            infer=torch_inference(network, preprocessing, options, classes, device),
            export=export,
            options=options,
            least_side=LEAST_SIDE,
            build_source_network=lambda: copy_stages(source, trained.model),
        )

    def load(self, folder: Path, meta: ArtifactMeta, device: str) -> Inference:
        network, classes = architecture(meta.architecture), len(meta.labels)
        model = network.build(2)
        network.replace_head(model, 5 * classes)
        load_weights(model, folder, meta)
        options = RCNN.read_options(meta.detector.spec)
        return torch_inference(model.eval(), meta.preprocessing, options, classes, device)


DETECTOR: Detector[RcnnSpec] = RcnnDetector()
