"""What a detector has learned, handed on: its body as a network of its source's architecture, under a new linear head.

The body learned on whole photos; the head is fitted to what was boxed, cut out, and to background, as the sources were compared
before the detector learned. So a detector becomes a source like any other: its features can be probed, it can be finetuned, and
it carries the signature of those crops. A stage that the detector had no use for stays its source's.
"""

from __future__ import annotations

import logging
from pathlib import Path

from safetensors.torch import save_file
from torch import nn

from transfer.data.splits import assign_folds
from transfer.detection.fast_rcnn.model import FastRcnn, own_dense
from transfer.features.extract import extract_features_uncached
from transfer.features.linear_probe import fit_probe
from transfer.features.network import Network
from transfer.finetune.cross_validation import attach_head
from transfer.selection.context import TrainingContext
from transfer.serving.artifacts import SOURCE
from transfer.spec.train_spec import SourceModelSpec
from transfer.zoo.loading import State, load
from transfer.zoo.networks.backbone import convolutional_body
from transfer.zoo.networks.registry import architecture

log = logging.getLogger(__name__)


def body_taken(source: SourceModelSpec, stages: nn.ModuleDict) -> nn.Module:
    """The source's network with the stages that a detector learned in place of its own."""
    return _with_stages(source, stages, None, 0)


def fast_taken(source: SourceModelSpec, model: FastRcnn) -> nn.Module:
    """The same of a Fast R-CNN, whose dense layers may be the source's too (VGG, AlexNet) as long as no SVD cut them."""
    own = not model.dense_is_new and not any(isinstance(layer, nn.Sequential) for layer in model.dense)
    return _with_stages(source, model.body, model.dense if own else None, model.pool)


def _with_stages(
    source_model: SourceModelSpec, stages: nn.ModuleDict, dense: nn.Module | None, pool: int
) -> nn.Module:
    network, source = architecture(source_model.architecture), load(source_model)
    body = convolutional_body(network, source)
    nn.ModuleDict(dict(body.stages)).load_state_dict(_on_cpu(stages))
    mine = own_dense(network, source, body.channels, pool) if dense is not None else None
    if mine is not None and dense is not None:
        mine.load_state_dict(_on_cpu(dense))
    made = network.build(
        source_model.classes
    )  # as published again: making a body of it took strides out of `source`
    made.load_state_dict(source.state_dict())
    return made.eval()


def whole_taken(source: SourceModelSpec, learned: nn.Module) -> nn.Module:
    """The same of a network that was finetuned whole, under whichever head."""
    network, made = architecture(source.architecture), load(source)
    for (name, mine), (_, theirs) in zip(network.stages(made), network.stages(learned), strict=True):
        if name != 'head':
            mine.load_state_dict(_on_cpu(theirs))
    return made


def write_source(model: nn.Module, source: SourceModelSpec, shop: TrainingContext, folder: Path) -> str:
    """The network under a linear head over the crops' classes, into the folder; why it could not be made, or ''.

    It is an extra: a detector is whole without it.
    """
    try:
        network = Network(source, architecture(source.architecture), model)
        pixels = shop.pixels(source.side)
        features = extract_features_uncached(network, pixels, shop.machine)
        folds = assign_folds(shop.labels, list(pixels.digests), shop.spec.folds, shop.spec.seed)
        made = attach_head(network, shop.classes, fit_probe(features, shop.labels, shop.classes, folds).head)
    except (RuntimeError, ValueError) as error:
        log.warning('the detector could not be made a source', exc_info=True)
        return f'{type(error).__name__}: {str(error)[:200]}'
    save_file({name: value.contiguous().clone() for name, value in _on_cpu(made).items()}, folder / SOURCE)
    return ''


def _on_cpu(module: nn.Module) -> State:
    return {
        name: value.detach().float().cpu() if value.is_floating_point() else value.cpu()
        for name, value in module.state_dict().items()
    }
