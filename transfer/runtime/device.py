"""Choose the device and precision of a network, and halve batches that do not fit into its memory."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from transfer.runtime.atomic_write import write_json
from transfer.spec.errors import InvalidSpecError

GAIN = 1.25  # times as fast bfloat16 must be to be chosen: anything nearer is timing noise
ROUNDS = 2
# Images of a pass without gradients: beyond 16 a core runs out of cache (MobileNet v3 at 224: 3.0 ms an
# image, 4.2 at 32).
FORWARD_BATCH = {'cpu': 16, 'cuda': 128}


def choose_device(wanted: str) -> torch.device:
    """`auto` takes CUDA where there is one. InvalidSpecError for `cuda` without a CUDA device."""
    if wanted == 'cuda' and not torch.cuda.is_available():
        raise InvalidSpecError('This worker has no CUDA device; train with device=auto or cpu.')
    return torch.device('cuda' if wanted != 'cpu' and torch.cuda.is_available() else 'cpu')


@contextmanager
def autocast(device: torch.device, precision: str) -> Iterator[None]:
    """Compute in that precision within the context; with gradients on a CPU, depthwise convolutions stay in
    float32.
    """
    coarse = precision == 'bfloat16'
    with torch.autocast(device.type, torch.bfloat16, enabled=coarse):
        if coarse and device.type == 'cpu' and torch.is_grad_enabled():
            with _Float32Depthwise():
                yield
        else:
            yield


@contextmanager
def use_threads(count: int) -> Iterator[None]:
    """Set the number of torch threads within the context, and restore it afterwards."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)


class _Float32Depthwise(TorchFunctionMode):
    """A CPU takes many times as long for the gradient of a depthwise convolution in bfloat16 as in float32.

    With these alone in float32 a step takes 0.73 of a float32 one (MobileNet v3 small at 224 pixels) or 0.53
    (v2 at 128); all in bfloat16: 1.7, 0.9.
    """

    def __torch_function__(
        self, function: Any, types: Any, arguments: tuple[Any, ...] = (), named: dict[str, Any] | None = None
    ) -> Any:
        named = named or {}
        if function is torch.conv2d and _groups(arguments, named) == arguments[1].shape[0] > 1:
            with torch.autocast('cpu', enabled=False):
                return function(arguments[0].float(), *arguments[1:], **named)
        return function(*arguments, **named)


def _groups(arguments: tuple[Any, ...], named: dict[str, Any]) -> int:
    """Of a call conv2d(input, weight, bias, stride, padding, dilation, groups)."""
    return int(named.get('groups', arguments[6] if len(arguments) > 6 else 1))


def choose_precision(
    wanted: str,
    key: str,
    device: torch.device,
    step: Callable[[str], None],
    memory: Path,
    rounds: int = ROUNDS,
) -> str:
    """`float32` or `bfloat16`: as wanted, or for `auto` by timing `step(precision)`.

    The result is kept in the file `memory` under `key`, so that a machine chooses the same next time:
    training again with the same seed must give the same model. (On a Zen 4 core bfloat16 halves ResNet's
    time.)
    """
    if wanted != 'auto':
        return wanted
    key = f'{key} {device.type}{torch.cuda.get_device_name() if device.type == "cuda" else ""}'
    known = _read_choices(memory)
    if key not in known:
        with use_threads(1 if device.type == 'cpu' else torch.get_num_threads()):
            exact, coarse = (
                _time_step(step, precision, device, rounds) for precision in ('float32', 'bfloat16')
            )
        known[key] = 'bfloat16' if exact > GAIN * coarse else 'float32'
        write_json(memory, known)
    return known[key]


def _time_step(step: Callable[[str], None], precision: str, device: torch.device, rounds: int) -> float:
    """The least seconds of so many rounds after a warm-up.

    CPU time on a CPU, so that other processes do not count. That needs one thread: of two, the one that waits
    for the other counts too, and a busy machine's ratio was 0.7 or 1.5 at random.
    """
    clock = time.process_time if device.type == 'cpu' else time.perf_counter
    times = []
    for _ in range(rounds + 1):
        start = clock()
        step(precision)
        if device.type == 'cuda':
            torch.cuda.synchronize()
        times.append(clock() - start)
    return min(times[1:])


def _read_choices(path: Path) -> dict[str, str]:
    return dict(json.loads(path.read_text())) if path.exists() else {}


def is_out_of_memory(error: RuntimeError) -> bool:
    """CUDA raises a class of its own; the CPU's allocator can only be recognised by its message."""
    return isinstance(error, torch.OutOfMemoryError) or any(
        words in str(error).lower()
        for words in ('out of memory', "can't allocate memory", 'not enough memory')
    )


def run_in_batches(
    count: int, batch: int, work: Callable[[int, int], None], note: Callable[[str], None]
) -> int:
    """Call work(start, stop) over 0 .. count; when memory runs out, halve the batch, note it and go on from
    there.

    Returns the batch size that fitted. Raises the error when a batch of one does not fit.
    """
    start = 0
    while start < count:
        stop = min(start + batch, count)
        try:
            work(start, stop)
        except RuntimeError as error:
            if not is_out_of_memory(error) or stop - start == 1:
                raise
            batch = max(1, (stop - start) // 2)
            note(f'Memory ran out; the batch was halved to {batch} images.')
            if torch.cuda.is_available():
                torch.cuda.empty_cache()
            continue
        start = stop
    return batch


def normalise(pixels: Tensor, mean: tuple[float, ...], std: tuple[float, ...]) -> Tensor:
    """RGB in 0..1, float (n, 3, h, w), to what the network was trained on, laid out channels last."""
    centre = pixels.new_tensor(mean).view(1, 3, 1, 1)
    scale = pixels.new_tensor(std).view(1, 3, 1, 1)
    return (pixels - centre).div_(scale).contiguous(memory_format=torch.channels_last)


def to_float_images(pixels: Tensor, device: torch.device) -> Tensor:
    """uint8 (n, h, w, 3) to float (n, 3, h, w) in 0..1 on the device; the bytes are what is copied to it."""
    if device.type == 'cuda':
        pixels = pixels.pin_memory().to(device, non_blocking=True)
    return pixels.permute(0, 3, 1, 2).float().div_(255)


def train_dropout_only(network: nn.Module) -> None:
    """Training mode with frozen batch-norm statistics: on a small set a batch's own statistics are noise."""
    network.eval()
    for module in network.modules():
        if isinstance(module, nn.Dropout):
            module.train()


@contextmanager
def seed_dropout(network: nn.Module, generator: torch.Generator) -> Iterator[None]:
    """Within the context the network's dropout draws from `generator`, not from the global one, which all
    threads share.
    """
    layers = [module for module in network.modules() if isinstance(module, nn.Dropout)]
    for layer in layers:
        layer.forward = partial(_apply_dropout, layer, generator)  # type: ignore[method-assign]
    try:
        yield
    finally:
        for layer in layers:
            del layer.forward


def _apply_dropout(layer: nn.Dropout, generator: torch.Generator, values: Tensor) -> Tensor:
    if not layer.training or layer.p == 0:
        return values
    kept = torch.empty_like(values).bernoulli_(1 - layer.p, generator=generator)
    return values * kept / (1 - layer.p)
