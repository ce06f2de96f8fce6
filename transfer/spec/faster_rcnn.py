"""Every number of Faster R-CNN (Ren et al., NIPS 2015), with its source. No torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FasterRcnnSpec:
    """Sources: [paper] the paper, [torchvision] its own default, [ours] a departure, with its reason."""

    short_side: int = 600  # pixels the image's shorter side is brought to [paper 3.3]
    cpu_short_side: int = 400  # instead, where there is no GPU [ours: as Fast R-CNN]
    long_side: int = 1000  # pixels the longer side may not pass [paper 3.3]
    # pixels a side [ours; 128, 256, 512 in the paper: small things are common]
    anchors: tuple[int, ...] = 32, 64, 128, 256
    ratios: tuple[float, ...] = (0.5, 1.0, 2.0)  # height by width [paper 3.3]
    # channels a 1x1 convolution leaves for the regions and the heads [ours: they are the cost]
    reduce: int = 128
    pool: int = 7  # cells a side of RoIAlign [torchvision]
    hidden: int = 256  # width of the two dense layers [ours; 1024 in torchvision]
    images_per_batch: int = 2  # [paper 3.3 takes 1]
    rois_per_image: int = 128  # [paper 3.3]
    foreground_share: float = 0.25  # [paper 3.3]
    # regions that the network proposes, after suppression [ours; 2,000 in the paper]
    proposals_train: int = 500
    proposals: int = 300  # of a photo that is asked about [paper 3.3]
    flip: bool = True  # [paper]
    rate: float = 0.001  # of the source's layers [paper 3.3]
    new_rate: float = 10.0  # times that for new layers [ours, as Fast R-CNN]
    bias_rate: float = 2.0  # times that for biases, which do not decay [as Fast R-CNN]
    momentum: float = 0.9  # [paper 3.3]
    decay: float = 0.0005  # [paper 3.3]
    step_at: float = 0.75  # share of the steps after which the rate falls to a tenth [paper: 60k of 80k]
    warm_up: int = 50  # steps [ours]
    clip: float = 10.0  # largest norm of a step's gradient [ours]
    frozen_stages: int = 2  # of the body, from the input [as Fast R-CNN]
    epochs: int = 0  # passes over the images; 0: as many as give `least_steps`, and at least 8 [ours]
    least_steps: int = 500  # [ours]
    min_score: float = 0.05  # [torchvision]
    per_image: int = 300  # things told of a photo [ours; 100 in torchvision: cells are crowded]
    nms_iou: float = 0.4  # [ours; 0.5 in torchvision; as Fast R-CNN]
    seed: int = 0
