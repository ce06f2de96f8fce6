"""Fast R-CNN as a transfer.detection.detector.Detector."""

from __future__ import annotations

import copy
import dataclasses
from pathlib import Path

import torch
from torch import nn

from transfer.detection.backbone_export import build_source_network
from transfer.detection.detector import Detector, DetectorTrainingData, TrainedDetector
from transfer.detection.export import load_weights, try_export, write_graph, write_weights
from transfer.detection.fast_rcnn import train as training
from transfer.detection.fast_rcnn.infer import HEADS_GRAPH
from transfer.detection.fast_rcnn.model import (
    FastRcnn,
    FeatureExtractor,
    RegionPredictor,
    own_dense,
    torch_inference,
)
from transfer.detection.fast_rcnn.svd import compress
from transfer.detection.sgd import epochs_for
from transfer.regions.postprocess import Inference
from transfer.serving.artifacts import GRAPH, ArtifactMeta, Preprocessing
from transfer.spec.fast_rcnn import FAST_RCNN, FastRcnnSpec
from transfer.spec.report import Report
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.architecture import Architecture
from transfer.zoo.networks.registry import architecture


class FastRcnnDetector:
    info = FAST_RCNN

    def adapt_to_device(self, options: FastRcnnSpec, device: torch.device) -> FastRcnnSpec:
        if device.type == 'cuda':
            return options
        return dataclasses.replace(options, short_side=min(options.short_side, options.cpu_short_side))

    def proposal_limit(self, options: FastRcnnSpec) -> int:
        return options.proposals

    def scale_schedule(self, options: FastRcnnSpec, images: int, all_images: int) -> FastRcnnSpec:
        return dataclasses.replace(
            options,
            epochs=epochs_for(images, options, training.LEAST_EPOCHS),
            head_steps=round(options.head_steps * all_images / images),
        )

    def train(self, data: DetectorTrainingData, options: FastRcnnSpec, report: Report) -> TrainedDetector:
        source, checkpoint = data.source, data.workdir / 'fast-rcnn.safetensors'
        model = training.train(
            data.manifest, data.proposals, source, options, report, data.device.type, checkpoint
        )
        preprocessing = Preprocessing.of(source)
        return TrainedDetector(
            images=len(data.manifest.images),
            infer=torch_inference(model, preprocessing, options),
            export=lambda folder: export(model, preprocessing, folder),
            options=options,
            least_side=options.short_side,
            build_source_network=lambda: source_network(source, model),
            stride=model.stride,
            channels=model.channels,
        )

    def load(self, folder: Path, meta: ArtifactMeta, device: str) -> Inference:
        network, options = architecture(meta.architecture), FAST_RCNN.read_options(meta.detector.spec)
        model = FastRcnn(network, network.build(2), len(meta.labels), options)
        if options.svd:
            model.dense = compress(model.dense, options.svd)
        load_weights(model, folder, meta)
        return torch_inference(model.eval().to(device), meta.preprocessing, options)


def export(model: FastRcnn, preprocessing: Preprocessing, folder: Path) -> str:
    """Write weights.safetensors and the two graphs; returns why there are no graphs, '' when there are."""
    model = copy.deepcopy(model).to('cpu', torch.float32).eval()
    write_weights(model, folder)
    pixels = torch.zeros(1, 128, 160, 3, dtype=torch.uint8)
    pooled = torch.zeros(2, model.channels, model.pool, model.pool)

    def write_graphs() -> None:
        write_graph(FeatureExtractor(model, preprocessing), pixels, {1: 'h', 2: 'w'}, folder / GRAPH)
        write_graph(RegionPredictor(model), pooled, {0: 'n'}, folder / HEADS_GRAPH)

    return try_export(write_graphs, folder)


def source_network(source: SourceModelSpec, model: FastRcnn) -> nn.Module:
    """The source's network with what was trained.

    Its stages, and its dense layers (VGG, AlexNet) unless SVD cut them.
    """
    is_own = not model.dense_is_new and not any(isinstance(layer, nn.Sequential) for layer in model.dense)

    def find_dense(network: Architecture, source: nn.Module, channels: int) -> nn.Module | None:
        return own_dense(network, source, channels, model.pool)

    return build_source_network(source, model.body, model.dense if is_own else None, find_dense)


DETECTOR: Detector[FastRcnnSpec] = FastRcnnDetector()
