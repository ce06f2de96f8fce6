"""A training's state on disk between two attempts: network, optimiser and the step it was at, in one file."""

from __future__ import annotations

import json
import os
import time
import uuid
from pathlib import Path

from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.optim import Optimizer

SAVE_EVERY = 20.0  # seconds of training that a killed job may lose; a checkpoint of 14 MB takes 0.03


class Checkpoint:
    """The file of one loop of steps. Without a path nothing is kept."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._saved = time.monotonic()

    def resume(self, network: nn.Module, optimiser: Optimizer) -> tuple[int, float]:
        """(steps done, their mean loss), with network and optimiser as they were then; (0, 0.0) without a checkpoint."""
        if self.path is None or not self.path.exists():
            return 0, 0.0
        with safe_open(self.path, framework='pt') as file:
            names = list(file.keys())
            network.load_state_dict(
                {name[8:]: file.get_tensor(name) for name in names if name.startswith('network/')}
            )
            state: dict[int, dict[str, Tensor]] = {}
            for name in names:
                if name.startswith('optimiser/'):
                    _, index, key = name.split('/')
                    state.setdefault(int(index), {})[key] = file.get_tensor(name)
            optimiser.load_state_dict(
                {'state': state, 'param_groups': optimiser.state_dict()['param_groups']}
            )
            known = json.loads(file.metadata()['progress'])
        return int(known['step']), float(known['loss'])

    def keep(
        self, step: int, loss: float, network: nn.Module, optimiser: Optimizer, *, now: bool = False
    ) -> None:
        """Save if the last save is a while ago, or `now`; written aside and renamed, so a kill leaves the one before."""
        if self.path is None or (not now and time.monotonic() - self._saved < SAVE_EVERY):
            return
        tensors = {f'network/{name}': value for name, value in network.state_dict().items()}
        for index, values in optimiser.state_dict()['state'].items():
            tensors |= {
                f'optimiser/{index}/{name}': value
                for name, value in values.items()
                if isinstance(value, Tensor)
            }
        plain = {name: value.detach().cpu().contiguous().clone() for name, value in tensors.items()}
        self.path.parent.mkdir(parents=True, exist_ok=True)
        aside = self.path.with_name(f'{self.path.stem}.{uuid.uuid4().hex}.part')
        save_file(plain, aside, metadata={'progress': json.dumps({'step': step, 'loss': loss})})
        os.replace(aside, self.path)
        self._saved = time.monotonic()
