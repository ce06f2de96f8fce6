"""Every number of Faster R-CNN (Ren et al., NIPS 2015), with its source. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from transfer.spec.detector_info import DetectorInfo
from transfer.spec.options import option


@dataclass(frozen=True)
class FasterRcnnSpec:
    """Sources: [paper] the paper, [torchvision] its own default, [ours] a departure, with its reason."""

    # [paper 3.3]
    short_side: int = option(600, 'Pixels that the shorter side of a photo is resized to.', 64, 2000)
    # [ours: as Fast R-CNN]
    cpu_short_side: int = option(400, 'The same on a machine without a GPU, where it is smaller.', 64, 2000)
    # [paper 3.3]
    long_side: int = option(1000, 'Pixels that the longer side of a photo may not exceed.', 64, 4000)
    # [ours; 128, 256, 512 in the paper: small things are common]
    anchors: tuple[int, ...] = option((32, 64, 128, 256), 'Sides of the anchors in pixels.', 4, 2000)
    # [paper 3.3]
    ratios: tuple[float, ...] = option((0.5, 1.0, 2.0), 'Height by width of the anchors.', 0.05, 20)
    # [ours: they are the cost]
    reduce: int = option(
        128, 'Channels that a 1x1 convolution leaves for the region proposal network and the heads.', 0, 4096
    )
    pool: int = option(7, 'Cells a side that a region is pooled to (RoIAlign).', 1, 14)  # [torchvision]
    hidden: int = option(256, 'Width of the two dense layers.', 1, 8192)  # [ours; 1024 in torchvision]
    images_per_batch: int = option(2, 'Photos in one step.', 1, 16)  # [paper 3.3 takes 1]
    rois_per_image: int = option(128, 'Regions of a photo in one step.', 4, 2048)  # [paper 3.3]
    # [paper 3.3]
    foreground_share: float = option(0.25, 'Share of these regions that hold an object.', 0.01, 1)
    # [ours; 2,000 in the paper]
    proposals_train: int = option(
        500, 'Regions proposed in training, after non-maximum suppression.', 1, 20_000
    )
    # [paper 3.3]
    proposals: int = option(300, 'Regions proposed in prediction.', 1, 20_000)
    flip: bool = option(True, 'Train on mirrored photos as well.')  # [paper]
    rate: float = option(0.001, 'Learning rate of the layers of the source model.', 0, 1)  # [paper 3.3]
    # [ours, as Fast R-CNN]
    new_rate: float = option(10.0, 'Learning rate of new layers, as a multiple of `rate`.', 0, 1000)
    # [as Fast R-CNN]
    bias_rate: float = option(
        2.0, 'Learning rate of biases, as a multiple of the other weights’; they do not decay.', 0, 1000
    )
    momentum: float = option(0.9, 'Momentum of SGD.', 0, 1)  # [paper 3.3]
    decay: float = option(0.0005, 'Weight decay.', 0, 1)  # [paper 3.3]
    # [paper: 60k of 80k]
    step_at: float = option(0.75, 'Share of the steps after which learning rates fall to a tenth.', 0, 1)
    warm_up: int = option(50, 'Steps in which learning rates rise from a tenth.', 0, 100_000)  # [ours]
    clip: float = option(10.0, 'Largest norm of the gradient of a step.', 0, 1e6)  # [ours]
    # [as Fast R-CNN]
    frozen_stages: int = option(2, 'Stages of the backbone, from the input, that are not finetuned.', 0, 100)
    # [ours]
    epochs: int = option(
        0, 'Epochs; 0: as many as give `least_steps` steps, and at least 8.', 0, 10_000, unit='epochs'
    )
    least_steps: int = option(500, 'Least number of steps where `epochs` is 0.', 0, 1_000_000)  # [ours]
    min_score: float = option(0.05, 'Least score of a detection.', 0, 1)  # [torchvision]
    # [ours; 100 in torchvision: cells are crowded]
    per_image: int = option(300, 'Detections of a photo.', 1, 10_000)
    # [ours; 0.5 in torchvision; as Fast R-CNN]
    nms_iou: float = option(
        0.4, 'IoU with a better box of its class above which a detection is dropped.', 0, 1
    )
    seed: int = 0  # the training's


FASTER_RCNN = DetectorInfo(
    kind='faster-rcnn',
    options=FasterRcnnSpec,
    name='Faster R-CNN',
    summary='proposes regions itself; runs in PyTorch, needs more memory',
    why='Faster R-CNN proposes its own regions.',
    cost_note='It runs in PyTorch and takes 0.8 GB of memory in the web server.',
    proposes_regions=True,
)
