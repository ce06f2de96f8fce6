"""What runs a sealed graph on a CPU. No torch here."""

from __future__ import annotations

import queue
import threading
from functools import cache
from pathlib import Path

import numpy as np

from transfer.serving.openvino_import import openvino

# The runtime's Python binding sets up statics during its first inference, and imports while it does. Two
# threads that both make the first one stop the whole process for good: one holds the interpreter's lock and
# waits for the static, the other the reverse (seen with OpenVINO 2026.4.1 under eight clients). So every
# engine answers once before any thread may ask it.
_first_inference = threading.Lock()

PRECISIONS = {'float32': 'f32', 'bfloat16': 'bf16'}


@cache
def _core() -> openvino.Core:
    return openvino.Core()


def offers_bfloat16() -> bool:
    return 'BF16' in _core().get_property('CPU', 'OPTIMIZATION_CAPABILITIES')


class OpenVinoGraph:
    """A compiled graph of one input and one output, with one inference request per stream, each on one
    thread.

    Two streams (OpenVINO's NUM_STREAMS) use two cores better than one image on two threads does, and cost
    nothing on a busy machine.
    """

    def __init__(
        self, path: Path, warm: np.ndarray | None, precision: str = 'float32', streams: int = 1
    ) -> None:
        """`warm`: a first input of a shape that the graph takes; None: one image of zeros, by the graph's own
        input."""
        self.streams = streams
        self._compiled = _core().compile_model(
            _core().read_model(path),
            'CPU',
            {
                'NUM_STREAMS': streams,
                'INFERENCE_NUM_THREADS': streams,
                'ENABLE_CPU_PINNING': False,  # other processes live on these cores too
                # The plug-in would take bfloat16 by itself where the processor has it; sealing has chosen.
                'INFERENCE_PRECISION_HINT': PRECISIONS[precision] if offers_bfloat16() else 'f32',
            },
        )
        self._requests: queue.SimpleQueue[openvino.InferRequest] = queue.SimpleQueue()
        example = self._one_image() if warm is None else warm
        with _first_inference:
            for _ in range(streams):
                request = self._compiled.create_infer_request()
                _infer(request, example)
                self._requests.put(request)

    def _one_image(self) -> np.ndarray:
        _, height, width, channels = self._compiled.input(0).get_partial_shape()
        return np.zeros((1, height.get_length(), width.get_length(), channels.get_length()), np.uint8)

    def run(self, values: np.ndarray) -> np.ndarray:
        """The graph's input -> float32 output. Safe from any thread; waits for a free stream."""
        request = self._requests.get()
        try:
            return _infer(request, values)
        finally:
            self._requests.put(request)


class OpenVinoEngine(OpenVinoGraph):
    """A classifier's graph: uint8 (n, side, side, 3) -> float32 (n, classes)."""

    # Every size of batch has memory of its own (8 MB with ResNet-18 at 224 pixels and two streams), and a
    # larger one hardly pays: eight together win 0 to 10 % on a CPU.
    largest = 2

    def __init__(self, graph: Path, precision: str, streams: int) -> None:
        super().__init__(graph, None, precision, streams)

    def logits(self, images: np.ndarray) -> np.ndarray:
        return self.run(images)


def _infer(request: openvino.InferRequest, values: np.ndarray) -> np.ndarray:
    """Asynchronous, though we wait at once: so the graph runs in threads of its own. Run in the caller's
    thread (`infer`), the plug-in remembers streams by thread beyond the model's life, and a later model's
    first inference read freed memory."""
    request.start_async([values], share_inputs=True)
    request.wait()  # lets go of the interpreter's lock meanwhile
    return request.get_output_tensor().data.copy()
