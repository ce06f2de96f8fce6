"""A trained network becomes a graph that a CPU serves without torch, and is compared with torch on real
images.

The way is torch -> ONNX -> OpenVINO IR, by torch's tracing ONNX exporter. Measured for MobileNet v3 small
with its checks: 0.7 s of CPU time, against 6.3 s by torch.export and OpenVINO's torch front end; and one pass
gives both files. The newer exporter is the second try, for networks that tracing cannot follow. Reading ONNX
through OpenVINO's core also keeps its converter out, which reports its use to the vendor over the network.
"""

from __future__ import annotations

import copy
import logging
import platform
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torchvision
from safetensors.torch import save_file
from torch import Tensor, nn

from transfer.runtime.softmax import softmax
from transfer.serving.artifacts import GRAPH, ONNX, WEIGHTS, Preprocessing
from transfer.serving.openvino_engine import OpenVinoEngine, offers_bfloat16
from transfer.serving.openvino_import import openvino
from transfer.spec.report import EngineInfo, PrecisionCheck

AGREEMENT = 0.99  # least share of sample images with torch's first class: below it a precision is not used
CLOSE = 0.01  # largest difference of a probability at which a float32 graph counts as the same network
GAIN = (
    0.9  # a coarser precision must take at most this share of float32's time: smaller differences are noise
)
ROUNDS = 3  # of the timing; the least one counts, as everything else on the machine only adds
BATCH = 32  # images a torch forward pass of the check

log = logging.getLogger(__name__)


class ServedNetwork(nn.Module):
    """uint8 RGB (n, side, side, 3) -> logits (n, classes): what the graph computes, normalisation
    included."""

    scale: Tensor
    shift: Tensor

    def __init__(self, network: nn.Module, preprocessing: Preprocessing) -> None:
        super().__init__()
        self.network = network
        mean, std = torch.tensor(preprocessing.mean), torch.tensor(preprocessing.std)
        self.register_buffer('scale', (1 / (255 * std)).view(1, 3, 1, 1))
        self.register_buffer('shift', (-mean / std).view(1, 3, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        planes = images.permute(0, 3, 1, 2).to(torch.float32)
        return self.network(planes * self.scale + self.shift)


def export(
    network: nn.Module,
    preprocessing: Preprocessing,
    temperature: float,
    sample: np.ndarray,
    folder: Path,
    *,
    keep_onnx: bool,
) -> EngineInfo:
    """Write weights.safetensors, graph.xml/.bin and model.onnx into `folder`; returns which engine serves it
    and why.

    `sample`: uint8 (n, side, side, 3). A conversion that fails leaves the weights, and the reason under
    `why_not`.
    """
    network = copy.deepcopy(network).to('cpu', torch.float32).eval()
    save_file(
        {name: value.contiguous().clone() for name, value in network.state_dict().items()}, folder / WEIGHTS
    )
    served = ServedNetwork(network, preprocessing).eval()
    try:
        _write_graph(served, sample, folder)
        logits = np.concatenate([_torch_logits(served, part) for part in _batches(sample)])
        truth = softmax(logits.astype(np.float64), temperature)
        checks = _compare(folder / GRAPH, temperature, sample, truth)
        chosen = _choose(checks)
        if chosen is not None and chosen.precision == 'bfloat16':
            halved = _halve_weights(folder, chosen, temperature, sample, truth)
            checks, chosen = [halved if check is chosen else check for check in checks], halved
    except (
        Exception
    ) as error:  # converters raise anything; the weights alone still make a model that torch serves
        log.warning('the network could not be converted', exc_info=True)
        return _served_by_torch(folder, f'conversion failed: {type(error).__name__}: {str(error)[:300]}', [])
    if chosen is None:
        return _served_by_torch(
            folder, 'the converted graph does not compute what the network computes', checks
        )
    if not keep_onnx:
        (folder / ONNX).unlink()
    return EngineInfo(
        name='openvino',
        precision=chosen.precision,
        largest_difference=chosen.largest_difference,
        agreement=chosen.agreement,
        images=len(sample),
        checks=tuple(checks),
        torch_milliseconds=_milliseconds(lambda: _torch_logits(served, sample[:1])),
    )


def versions() -> dict[str, str]:
    return {
        'python': platform.python_version(),
        'torch': torch.__version__,
        'torchvision': torchvision.__version__,
        'openvino': openvino.__version__,
        'numpy': np.__version__,
    }


def _write_graph(served: ServedNetwork, sample: np.ndarray, folder: Path) -> None:
    """ONNX first, then IR. Its weights stay float32 where the graph computes so: as float16 they would move
    real networks' probabilities by up to 0.04 (MobileNet v2 on 128 photos; 0.00002 as they are)."""
    onnx = folder / ONNX
    with warnings.catch_warnings():
        # tracing warns of every Python number it fixes; the check would find a wrong one
        warnings.simplefilter('ignore')
        try:
            _export_onnx(served, sample, onnx, dynamo=False)
        except Exception as error:
            log.info('tracing failed (%s); trying the newer exporter', error)
            _export_onnx(served, sample, onnx, dynamo=True)
    openvino.save_model(openvino.Core().read_model(onnx), folder / GRAPH, compress_to_fp16=False)


def _export_onnx(served: ServedNetwork, sample: np.ndarray, path: Path, *, dynamo: bool) -> None:
    # two: a batch of one would be fixed as such
    example = torch.from_numpy(np.concatenate([sample[:1], sample[-1:]]))
    names: dict[str, Any] = {'input_names': ['images'], 'output_names': ['logits'], 'dynamo': dynamo}
    if dynamo:
        names |= {'dynamic_shapes': ({0: torch.export.Dim('n')},), 'external_data': False, 'verbose': False}
    else:
        names |= {'dynamic_axes': {'images': {0: 'n'}, 'logits': {0: 'n'}}}
    with torch.no_grad():
        torch.onnx.export(served, (example,), path, **names)


def _compare(graph: Path, temperature: float, sample: np.ndarray, truth: np.ndarray) -> list[PrecisionCheck]:
    precisions = ['float32', 'bfloat16'] if offers_bfloat16() else ['float32']
    return [_check(graph, precision, temperature, sample, truth) for precision in precisions]


def _halve_weights(
    folder: Path, chosen: PrecisionCheck, temperature: float, sample: np.ndarray, truth: np.ndarray
) -> PrecisionCheck:
    """A graph that rounds its weights to bfloat16 needs none in float32: float16 has more digits than that
    and half the bytes, which are memory of every web process (23 MB with ResNet-18). Not kept if it agrees
    with torch less than it must."""
    aside = folder / 'half.xml'
    openvino.save_model(openvino.Core().read_model(folder / GRAPH), aside, compress_to_fp16=True)
    found = _check(aside, chosen.precision, temperature, sample, truth)
    if found.agreement < min(chosen.agreement, AGREEMENT):
        for suffix in ('.xml', '.bin'):
            aside.with_suffix(suffix).unlink()
        return chosen
    for suffix in ('.bin', '.xml'):
        aside.with_suffix(suffix).replace((folder / GRAPH).with_suffix(suffix))
    return found


def _check(
    graph: Path, precision: str, temperature: float, sample: np.ndarray, truth: np.ndarray
) -> PrecisionCheck:
    """One image alone and the rest in batches: a graph whose batch was fixed by tracing fails here, not in
    service."""
    engine = OpenVinoEngine(graph, precision, streams=1)
    parts = [sample[:1], *_batches(sample[1:])]
    logits = np.concatenate([engine.logits(part) for part in parts if len(part)])
    found = softmax(logits.astype(np.float64), temperature)
    return PrecisionCheck(
        precision,
        float(np.abs(found - truth).max()),
        float((found.argmax(1) == truth.argmax(1)).mean()),
        _milliseconds(lambda: engine.logits(sample[:1])),
    )


def _choose(checks: list[PrecisionCheck]) -> PrecisionCheck | None:
    """float32, or what agrees and is clearly faster; None when not even float32 computes the same."""
    exact, *others = checks
    if not exact.largest_difference <= CLOSE:  # so that NaN fails too
        return None
    worth = [
        check
        for check in others
        if check.agreement >= AGREEMENT and check.milliseconds <= GAIN * exact.milliseconds
    ]
    return min([exact, *worth], key=lambda check: check.milliseconds)


def _served_by_torch(folder: Path, why: str, checks: list[PrecisionCheck]) -> EngineInfo:
    for path in folder.iterdir():
        if path.name != WEIGHTS:
            path.unlink()
    return EngineInfo(checks=tuple(checks), why_not=why)


@torch.inference_mode()
def _torch_logits(served: ServedNetwork, images: np.ndarray) -> np.ndarray:
    return served(torch.from_numpy(np.ascontiguousarray(images))).numpy()


def _batches(sample: np.ndarray) -> list[np.ndarray]:
    return [sample[start : start + BATCH] for start in range(0, len(sample), BATCH)]


def _milliseconds(run: Callable[[], object]) -> float:
    times = []
    for _ in range(ROUNDS):
        start = time.process_time()
        run()
        times.append(time.process_time() - start)
    return round(min(times) * 1000, 3)
