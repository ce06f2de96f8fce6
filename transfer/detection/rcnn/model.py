"""A trained R-CNN: the finetuned network, and for each class an SVM and a box regressor on its features."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from transfer.detection.rcnn.infer import RcnnInference
from transfer.detection.rcnn.regress import Regressor
from transfer.detection.rcnn.svm import Svm
from transfer.serving.artifacts import Preprocessing
from transfer.serving.export import ServedNetwork
from transfer.spec.rcnn import RcnnSpec
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.networks.architecture import Architecture


@dataclass(frozen=True)
class Rcnn:
    """What a training gives."""

    network: Architecture
    model: nn.Module  # in eval mode
    source: SourceModelSpec  # how its input is prepared
    spec: RcnnSpec
    scale: float  # of features
    svms: tuple[Svm, ...]  # by class
    regressors: tuple[Regressor, ...]


def margins_network(detector: Rcnn) -> nn.Module:
    """The network with SVMs and box regressors as its last layer, as both are linear on its features.

    Float32, on the CPU.

    Normalised crops (n, 3, side, side) -> (n, 5 * classes): margins, then shifts.
    """
    model = copy.deepcopy(detector.model).cpu().float()
    head = detector.network.replace_head(model, 5 * len(detector.svms))
    weights = [svm.weight[None] for svm in detector.svms]
    weights += [(regressor.weight @ regressor.colour).T for regressor in detector.regressors]
    biases = [np.array([svm.bias]) for svm in detector.svms]
    biases += [regressor.bias @ regressor.colour + regressor.mean for regressor in detector.regressors]
    with torch.no_grad():
        head.weight.copy_(torch.from_numpy(np.concatenate(weights) * detector.scale))
        head.bias.copy_(torch.from_numpy(np.concatenate(biases)))
    return model.eval()


def torch_inference(
    network: nn.Module, preprocessing: Preprocessing, spec: RcnnSpec, classes: int, device: str
) -> RcnnInference:
    """Inference by torch, through the module that the sealed graph is exported from.

    `network` as `margins_network` gives it.
    """
    served = ServedNetwork(network, preprocessing).eval().to(device)

    @torch.inference_mode()
    def predict(crops: np.ndarray) -> np.ndarray:
        return np.asarray(served(torch.from_numpy(crops).to(device)).float().cpu().numpy())

    return RcnnInference(predict, classes, preprocessing, spec)
