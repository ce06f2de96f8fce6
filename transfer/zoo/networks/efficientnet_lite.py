"""EfficientNet-Lite0, 1 and 2 (Google 2020, after Tan and Le, ICML 2019): EfficientNet without
squeeze-and-excitation, with ReLU6.

TensorFlow pads a strided convolution at the right and bottom only, so its windows sit one pixel further than
torch's. A kernel two wider, whose first rows and columns start at zero, is the same convolution with
symmetric padding: the published weights give the published numbers, and everything that knows torch's
convolutions (dilation, export) knows these. It is exact where every strided convolution has an even input, as
with a side that 32 divides; elsewhere some windows sit one pixel off.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torchvision.ops.misc import Conv2dNormActivation

# (expansion, kernel, stride, channels, blocks) of each stage, as of EfficientNet-B0 (table 1)
STAGES = (
    (1, 3, 1, 16, 1),
    (6, 3, 2, 24, 2),
    (6, 5, 2, 40, 2),
    (6, 3, 2, 80, 3),
    (6, 5, 1, 112, 3),
    (6, 5, 2, 192, 4),
    (6, 3, 1, 320, 1),
)
STEM, LAST = 32, 1280  # channels; Lite scales neither


@dataclass(frozen=True)
class Scale:
    """How one network of the family differs from Lite0 (compound scaling, section 3.3 of the paper)."""

    width: float  # multiplies the channels of every stage
    depth: float  # multiplies the blocks of every stage but the first and the last
    dropout: float


SCALES = {
    'efficientnet_lite0': Scale(1.0, 1.0, 0.2),
    'efficientnet_lite1': Scale(1.0, 1.1, 0.2),
    'efficientnet_lite2': Scale(1.1, 1.2, 0.3),
}
# Published: 224, 240 and 260. At one side they can answer together, and 32 divides it, for which the padding
# below is exact.
SIDE = 224
NORMALISATION = (127 / 255, 128 / 255)  # mean and deviation of its input, of 0..1
WIDER = 2  # pixels of a strided kernel


class Block(nn.Module):
    """An inverted residual: widen, filter each channel by itself, narrow. Takes (n, before, h, w)."""

    def __init__(self, before: int, channels: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = before * expansion
        widen = [] if expansion == 1 else [_convolution(before, wide, 1)]
        self.layers = nn.Sequential(
            *widen,
            _convolution(wide, wide, kernel, stride, groups=wide),
            _convolution(wide, channels, 1, active=False),
        )
        self.residual = stride == 1 and before == channels

    def forward(self, images: Tensor) -> Tensor:
        found: Tensor = self.layers(images)
        return images + found if self.residual else found


class EfficientNetLite(nn.Module):
    """Input (n, 3, side, side), output (n, classes)."""

    def __init__(self, scale: Scale, classes: int) -> None:
        super().__init__()
        body: list[nn.Module] = [_convolution(3, STEM, 3, 2)]
        before = STEM
        for place, (expansion, kernel, stride, channels, blocks) in enumerate(STAGES):
            channels = _scale_channels(channels, scale.width)
            if 0 < place < len(STAGES) - 1:
                blocks = math.ceil(blocks * scale.depth)
            for number in range(blocks):
                body.append(Block(before, channels, kernel, stride if number == 0 else 1, expansion))
                before = channels
        self.features = nn.Sequential(*body, _convolution(before, LAST, 1))
        self.classifier = nn.Sequential(nn.Dropout(scale.dropout), nn.Linear(LAST, classes))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.classifier(self.features(images).mean((2, 3)))
        return logits


def build(name: str, classes: int) -> nn.Module:
    """A fresh network of the family. KeyError for a name that SCALES does not hold."""
    return EfficientNetLite(SCALES[name], classes)


def rename_weights(name: str, published: dict[str, Tensor]) -> dict[str, Tensor]:
    """The published state of that network under our names. Its tensors come in the order of the forward pass,
    as ours do.

    ValueError for a state that is not of this network.
    """
    with torch.device('meta'):
        own = build(name, len(next(reversed(published.values())))).state_dict()
    if len(own) != len(published):
        raise ValueError(f'{len(published)} tensors instead of {len(own)}')
    found = {}
    for (key, wanted), values in zip(own.items(), published.values(), strict=True):
        wider = wanted.shape[2:] != values.shape[2:]
        found[key] = (nn.functional.pad(values, (WIDER, 0, WIDER, 0)) if wider else values).contiguous()
        if found[key].shape != wanted.shape:
            raise ValueError(f'{key} has the shape {tuple(values.shape)}')
    return found


def _scale_channels(channels: int, width: float) -> int:
    """The multiple of 8 next to channels x width, never more than 10 % below it (as the published code
    rounds)."""
    wanted = channels * width
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def _convolution(
    before: int, channels: int, kernel: int, stride: int = 1, groups: int = 1, active: bool = True
) -> Conv2dNormActivation:
    return Conv2dNormActivation(
        before,
        channels,
        kernel + WIDER if stride > 1 else kernel,
        stride,
        groups=groups,
        norm_layer=partial(
            nn.BatchNorm2d, eps=1e-3, momentum=0.01
        ),  # TensorFlow's 0.99, counted from the other end
        activation_layer=nn.ReLU6 if active else None,
    )
