"""The torch network of a sealed classifier: one network, or several that answer together.

An ensemble's logits are the logarithm of its members' mean probabilities, each member calibrated by a
temperature of its own (Lakshminarayanan et al. 2017, section 2.4). So it is a network like any other: one
graph, one calibration on top, one answer.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from transfer.serving.artifacts import ArtifactMeta, EnsembleMember, Preprocessing
from transfer.zoo.networks.multi_stage import build_classifier
from transfer.zoo.networks.registry import architecture

LEAST_PROBABILITY = 1e-12  # below it the logarithm would be of a number that float32 has rounded to 0


class EnsembleNetwork(nn.Module):
    """Normalised float images (n, 3, side, side) -> logits (n, classes)."""

    def __init__(
        self, networks: Sequence[nn.Module], members: Sequence[EnsembleMember], preprocessing: Preprocessing
    ) -> None:
        """`networks`: with their heads, in the order of `members`. The images come normalised as
        `preprocessing` says; each member sees them normalised as it was trained."""
        super().__init__()
        self.members = nn.ModuleList(networks)
        self.temperatures = [member.temperature for member in members]
        for place, member in enumerate(members):
            scale, shift = _renormalisation(preprocessing, member)
            # not in the weights file: meta.json tells them
            self.register_buffer(f'scale{place}', scale, persistent=False)
            self.register_buffer(f'shift{place}', shift, persistent=False)

    def forward(self, images: Tensor) -> Tensor:
        answers = []
        for place, (network, temperature) in enumerate(zip(self.members, self.temperatures, strict=True)):
            own = images * self.get_buffer(f'scale{place}') + self.get_buffer(f'shift{place}')
            answers.append((network(own).float() / temperature).softmax(1))
        return torch.stack(answers).mean(0).clamp(min=LEAST_PROBABILITY).log()


def build_network(meta: ArtifactMeta) -> nn.Module:
    """The network of an artifact, without its weights. UnusableSourceError for an unknown architecture."""
    classes = len(meta.labels)
    if not meta.members:
        return build_classifier(architecture(meta.architecture), classes, meta.stage_features)
    networks = [
        build_classifier(architecture(member.architecture), classes, member.stage_features)
        for member in meta.members
    ]
    return EnsembleNetwork(networks, meta.members, meta.preprocessing)


def _renormalisation(shared: Preprocessing, member: EnsembleMember) -> tuple[Tensor, Tensor]:
    """Scale and shift, (1, 3, 1, 1), from the shared normalisation to the member's."""
    mean, std = torch.tensor(shared.mean), torch.tensor(shared.std)
    own_mean, own_std = torch.tensor(member.mean), torch.tensor(member.std)
    return (std / own_std).view(1, 3, 1, 1), ((mean - own_mean) / own_std).view(1, 3, 1, 1)
