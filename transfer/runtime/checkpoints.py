"""Save a training's state between two attempts and load it again.

Network, optimizer and progress, in one safetensors file.

network/NAME            the network's state_dict optimizer/INDEX/NAME    the optimizer's state (momentum ...)
of the INDEX-th parameter extra/NAME              further tensors of the caller metadata
format: FORMAT; progress: JSON of the caller, such as steps done and loss
"""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

from transfer.runtime.atomic_write import replace_file

FORMAT = '2'  # raised when files change: one of another format is ignored, and its training starts again
SAVE_EVERY = 20.0  # seconds of training that a killed job may lose; a checkpoint of 14 MB takes 0.03


@dataclass(frozen=True)
class SavedState:
    """What a checkpoint holds beside network and optimizer."""

    progress: dict[str, Any]
    tensors: dict[str, Tensor]


class Checkpoint:
    """The file of one training loop. Without a path nothing is saved and there is nothing to load."""

    def __init__(self, path: Path | None, save_every: float | None = None) -> None:
        """`save_every`: least seconds between two saves; None: SAVE_EVERY."""
        self.path = path
        self._save_every = save_every
        self._saved_at = time.monotonic()

    def load(self, network: nn.Module, optimizer: Optimizer) -> SavedState | None:
        """Restore network and optimizer as they were saved; None when there is no checkpoint of this format.

        Learning rates are not restored: the caller's schedule sets them before each step.
        """
        if self.path is None or not self.path.exists():
            return None
        with safe_open(self.path, framework='pt') as file:
            metadata = file.metadata() or {}
            if metadata.get('format') != FORMAT:
                return None
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
        network.load_state_dict(_with_prefix(tensors, 'network/'))
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in _with_prefix(tensors, 'optimizer/').items():
            index, key = name.split('/')
            state.setdefault(int(index), {})[key] = value
        optimizer.load_state_dict({'state': state, 'param_groups': optimizer.state_dict()['param_groups']})
        return SavedState(json.loads(metadata['progress']), _with_prefix(tensors, 'extra/'))

    def save(
        self,
        network: nn.Module,
        optimizer: Optimizer,
        progress: Mapping[str, Any],
        tensors: Mapping[str, Tensor] | None = None,
        *,
        now: bool = False,
    ) -> None:
        """Save if the last save was `save_every` seconds ago, or `now`.

        Atomically, so a kill leaves the earlier one.
        """
        every = SAVE_EVERY if self._save_every is None else self._save_every
        if self.path is None or (not now and time.monotonic() - self._saved_at < every):
            return
        state = {f'network/{name}': value for name, value in network.state_dict().items()}
        for index, values in optimizer.state_dict()['state'].items():
            state |= {f'optimizer/{index}/{name}': v for name, v in values.items() if isinstance(v, Tensor)}
        state |= {f'extra/{name}': value for name, value in (tensors or {}).items()}
        plain = {name: value.detach().cpu().contiguous().clone() for name, value in state.items()}
        with replace_file(self.path) as aside:
            save_file(plain, aside, metadata={'format': FORMAT, 'progress': json.dumps(progress)})
        self._saved_at = time.monotonic()


def _with_prefix(tensors: Mapping[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
