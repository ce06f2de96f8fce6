"""A head on the pooled outputs of several stages: what the last layer has forgotten of simple things, such as
texture, colour and strokes, the stages before it still know (Evci et al., Head2Toe, ICML 2022).

It costs no pass: these outputs are computed on the way to the last one.
"""

from __future__ import annotations

from torch import Tensor, nn

from transfer.zoo.networks.architecture import Architecture


class MultiStageNetwork(nn.Module):
    """Normalised images (n, 3, side, side) -> logits (n, classes).

    `network` keeps a head of its own over the last stage, which is not used here: with it, it is what this
    model would be as a source model.
    """

    def __init__(self, architecture: Architecture, network: nn.Module, width: int, classes: int) -> None:
        """`width`: of Architecture.embed_stages."""
        super().__init__()
        self.network = network
        self.stage_head = nn.Linear(width, classes)
        self._architecture = architecture

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.stage_head(self._architecture.embed_stages(self.network, images))
        return logits


def build_classifier(architecture: Architecture, classes: int, stage_features: int = 0) -> nn.Module:
    """The network with a fresh head for so many classes over its last stage; or, with `stage_features`, over
    that many pooled outputs of several stages."""
    network = architecture.build(classes)
    architecture.replace_head(network, classes)
    if not stage_features:
        return network
    return MultiStageNetwork(architecture, network, stage_features, classes)
