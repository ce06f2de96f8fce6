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
from transfer.spec.detectors import RCNN
from transfer.spec.report import Report
from transfer.spec.train_spec import TrainSpec
from transfer.zoo.networks.registry import architecture


class RcnnDetector:
    info = RCNN

    def adapt_to_device(self, spec: TrainSpec, device: torch.device) -> TrainSpec:
        options = spec.rcnn
        if device.type != 'cuda':
            proposals = min(options.proposals, options.cpu_proposals)
            options = dataclasses.replace(options, proposals=proposals)
        return dataclasses.replace(spec, rcnn=options)

    def proposal_limit(self, spec: TrainSpec) -> int:
        return spec.rcnn.proposals

    def scale_schedule(self, spec: TrainSpec, images: int, all_images: int) -> TrainSpec:
        options = dataclasses.replace(spec.rcnn, steps=round(spec.rcnn.steps * all_images / images))
        return dataclasses.replace(spec, rcnn=options)

    def train(self, data: DetectorTrainingData, spec: TrainSpec, report: Report) -> TrainedDetector:
        options, source = dataclasses.replace(spec.rcnn, seed=spec.seed), data.source
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


DETECTOR: Detector = RcnnDetector()
