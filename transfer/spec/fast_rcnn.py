"""Every number of Fast R-CNN (Girshick, ICCV 2015), with its source. No torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class FastRcnnSpec:
    """Sources: [config] lib/fast_rcnn/config.py of the published code, [proto] models/*/train.prototxt and
    solver.prototxt, [paper] the paper, [ours] a departure, with its reason.
    """

    short_side: int = 600  # pixels the image's shorter side is brought to [config TRAIN.SCALES]
    # instead, where there is no GPU: half of the time [ours: photos of small sets are often no larger]
    cpu_short_side: int = 400
    long_side: int = 1000  # pixels the longer side may not pass [config TRAIN.MAX_SIZE]
    proposals: int = 2000  # the best of an image [paper 3.2: about 2,000]
    images_per_batch: int = 2  # [config TRAIN.IMS_PER_BATCH]
    # [ours; 64 in config TRAIN.BATCH_SIZE: behind a 1x1 reduction the heads cost next to nothing]
    rois_per_image: int = 128
    foreground_share: float = 0.25  # [config TRAIN.FG_FRACTION]
    # draw foreground by class, not by region [ours: platelets, a sixteenth of the cells, had AP 0.01]
    balance: bool = True
    foreground_iou: float = 0.5  # [config TRAIN.FG_THRESH]
    background_low: float = 0.1  # [config TRAIN.BG_THRESH_LO]
    background_high: float = 0.5  # [config TRAIN.BG_THRESH_HI]
    box_iou: float = 0.5  # least overlap of a region that learns to move [config TRAIN.BBOX_THRESH]
    box_weight: float = 1.0  # lambda between the two losses [paper eq. 1]
    flip: bool = True  # mirrored images as well: the only augmentation [config TRAIN.USE_FLIPPED]
    pool: int = 7  # cells a side that a region is pooled to; 6 for CaffeNet [proto roi_pooling_param]
    # RoIAlign instead of RoI max pooling [ours, a named departure: no rounding of the corners]
    align: bool = False
    # channels a 1x1 convolution leaves ahead of pooling; 0 none [ours: the head over 2,000 regions is the
    # cost]
    reduce: int = 64
    hidden: tuple[int, ...] = (256,)  # widths of new dense layers where the source has none of its own [ours]
    rate: float = 0.001  # of the source's layers [proto base_lr]
    new_rate: float = 10.0  # times that for new layers [ours, as R-CNN's fc8: fewer steps must suffice]
    bias_rate: float = 2.0  # times that for biases, which do not decay [proto lr_mult, decay_mult]
    momentum: float = 0.9  # [proto]
    decay: float = 0.0005  # [proto weight_decay]
    step_at: float = 0.75  # share of the steps after which the rate falls to a tenth [proto: 30k of 40k]
    warm_up: int = 50  # steps from a tenth of the rate to all of it [ours: new layers begin at random]
    clip: float = 10.0  # largest norm of a step's gradient [ours: two crowded images may point far]
    frozen_stages: int = 2  # of the body, from the input [proto: conv1 and conv2 of VGG16]
    # of the new layers alone, on maps that are made once [ours: each a tenth of a whole step]
    head_steps: int = 600
    epochs: int = 0  # passes over the images; 0: as many as give `least_steps`, and at least 16 [ours]
    least_steps: int = 300  # [ours: with the above, minutes for 150 photos]
    class_std: float = 0.01  # of the score layer's first weights [proto]
    box_std: float = 0.001  # of the box layer's first weights [proto]
    svd: tuple[
        int, ...
    ] = ()  # singular values kept of each dense layer, e.g. 1024, 256 [paper 4.4]; empty: layers as they are
    min_score: float = 0.05  # probability under which nothing is told [config of the later releases]
    # [ours: fast_rcnn/test.py lets 100 in; on a photo of 14 cells with 15 regions each most cells were then
    # missed]
    per_class: int = 1000  # boxes of a class and image that enter suppression
    # [ours; 0.3 in config TEST.NMS: of 101 boxed bananas 26 overlap another by more than that]
    nms_iou: float = 0.4
    seed: int = 0
