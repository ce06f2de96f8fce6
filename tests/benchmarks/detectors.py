"""The network part of Fast R-CNN beside R-CNN's: one photo, the same 2,000 boxes, the same body, random weights, one thread.

Proposals are left out of both, as in the paper's table; R-CNN is timed on a part of the boxes and scaled.
"""

from __future__ import annotations

import dataclasses
import time

import numpy as np
import torch

from transfer.data.decode import Upright
from transfer.fast_rcnn.detector import detect
from transfer.fast_rcnn.model import FastRcnn
from transfer.fast_rcnn.spec import FastRcnnSpec
from transfer.rcnn.embedding import embedded
from transfer.rcnn.spec import RcnnSpec
from transfer.spec import SourceCard
from transfer.zoo.registry import architecture

BOXES = 2000
SAMPLE = 100  # of them for R-CNN


def main() -> None:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    photo = Upright(rng.integers(0, 256, (375, 500, 3)).astype(np.uint8), 500, 375)
    corners = rng.uniform(0, (400, 300), (BOXES, 2))
    boxes = np.hstack([corners, corners + rng.uniform(20, 100, (BOXES, 2)).clip(max=(500, 375) - corners)])
    print('| body | R-CNN s | Fast R-CNN s | times |')
    print('| --- | --- | --- | --- |')
    for name in ('mobilenet_v3_small', 'squeezenet1_1', 'resnet18'):
        network = architecture(name)
        card = SourceCard(name, name, '', '', 10, 1)
        model = FastRcnn(network, network.build(10), 3, FastRcnnSpec()).eval()
        plain = network.build(10).eval()
        spec = dataclasses.replace(FastRcnnSpec(), min_score=0.5)
        slow, fast = [], []
        for _ in range(3):
            started = time.process_time()
            embedded(network, plain, photo, boxes[:SAMPLE], card, RcnnSpec())
            slow.append((time.process_time() - started) * BOXES / SAMPLE)
            started = time.process_time()
            detect(model, photo, boxes, spec, card)
            fast.append(time.process_time() - started)
        print(f'| {name} | {min(slow):.1f} | {min(fast):.2f} | {min(slow) / min(fast):.0f} |', flush=True)


if __name__ == '__main__':
    main()
