"""Every number of Fast R-CNN (Girshick, ICCV 2015), with its source. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from transfer.spec.detector_info import DetectorInfo
from transfer.spec.options import option


@dataclass(frozen=True)
class FastRcnnSpec:
    """Sources: [config] lib/fast_rcnn/config.py of the published code, [proto] models/*/train.prototxt and
    solver.prototxt, [paper] the paper, [ours] a departure, with its reason.
    """

    # [config TRAIN.SCALES]
    short_side: int = option(600, 'Pixels that the shorter side of a photo is resized to.', 64, 2000)
    # [ours: half of the time; photos of small sets are often no larger]
    cpu_short_side: int = option(400, 'The same on a machine without a GPU, where it is smaller.', 64, 2000)
    # [config TRAIN.MAX_SIZE]
    long_side: int = option(1000, 'Pixels that the longer side of a photo may not exceed.', 64, 4000)
    # [paper 3.2: about 2,000]
    proposals: int = option(2000, 'Region proposals of a photo that are looked at.', 1, 20_000)
    images_per_batch: int = option(2, 'Photos in one step.', 1, 16)  # [config TRAIN.IMS_PER_BATCH]
    # [ours; 64 in config TRAIN.BATCH_SIZE: behind a 1x1 reduction the heads cost next to nothing]
    rois_per_image: int = option(128, 'Regions of a photo in one step.', 4, 2048)
    # [config TRAIN.FG_FRACTION]
    foreground_share: float = option(0.25, 'Share of these regions that hold an object.', 0.01, 1)
    # [ours: platelets, a sixteenth of the cells, had AP 0.01]
    balance: bool = option(True, 'Sample regions with objects by class, so that rare classes are seen.')
    # [config TRAIN.FG_THRESH]
    foreground_iou: float = option(0.5, 'Least IoU with a box at which a region holds an object.', 0, 1)
    # [config TRAIN.BG_THRESH_LO, BG_THRESH_HI]
    background_low: float = option(0.1, 'Least IoU with a box of a background region.', 0, 1)
    background_high: float = option(0.5, 'IoU with a box below which a region is background.', 0, 1)
    # [config TRAIN.BBOX_THRESH]
    box_iou: float = option(0.5, 'Least IoU of a region from which box regression learns.', 0, 1)
    # [paper eq. 1: lambda]
    box_weight: float = option(1.0, 'Weight of the box loss beside the classification loss.', 0, 1000)
    # The only augmentation [config TRAIN.USE_FLIPPED].
    flip: bool = option(True, 'Train on mirrored photos as well.')
    # 6 for CaffeNet [proto roi_pooling_param]
    pool: int = option(7, 'Cells a side that a region is pooled to.', 1, 14)
    # [ours, a named departure: no rounding of the corners]
    align: bool = option(False, 'RoIAlign instead of RoI max pooling.')
    # [ours: the head over 2,000 regions is the cost]
    reduce: int = option(64, 'Channels that a 1x1 convolution leaves before pooling; 0: none.', 0, 4096)
    # [ours]
    hidden: tuple[int, ...] = option(
        (256,), 'Widths of new dense layers, for a source model that has none.', 1, 8192
    )
    rate: float = option(0.001, 'Learning rate of the layers of the source model.', 0, 1)  # [proto base_lr]
    # [ours, as R-CNN's fc8: fewer steps must suffice]
    new_rate: float = option(10.0, 'Learning rate of new layers, as a multiple of `rate`.', 0, 1000)
    # [proto lr_mult, decay_mult]
    bias_rate: float = option(
        2.0, 'Learning rate of biases, as a multiple of the other weights’; they do not decay.', 0, 1000
    )
    momentum: float = option(0.9, 'Momentum of SGD.', 0, 1)  # [proto]
    decay: float = option(0.0005, 'Weight decay.', 0, 1)  # [proto weight_decay]
    # [proto: 30k of 40k]
    step_at: float = option(0.75, 'Share of the steps after which learning rates fall to a tenth.', 0, 1)
    # [ours: new layers begin at random]
    warm_up: int = option(50, 'Steps in which learning rates rise from a tenth.', 0, 100_000)
    # [ours: two crowded images may point far]
    clip: float = option(10.0, 'Largest norm of the gradient of a step.', 0, 1e6)
    # [proto: conv1 and conv2 of VGG16]
    frozen_stages: int = option(2, 'Stages of the backbone, from the input, that are not finetuned.', 0, 100)
    # On feature maps that are made once [ours: each a tenth of a whole step].
    head_steps: int = option(600, 'First steps, in which new layers alone are trained.', 0, 1_000_000)
    # [ours: minutes for 150 photos]
    epochs: int = option(
        0, 'Epochs; 0: as many as give `least_steps` steps, and at least 16.', 0, 10_000, unit='epochs'
    )
    least_steps: int = option(300, 'Least number of steps where `epochs` is 0.', 0, 1_000_000)
    # [proto]
    class_std: float = option(0.01, 'Standard deviation of the first weights of the class scores.', 0, 10)
    box_std: float = option(0.001, 'Standard deviation of the first weights of the box regression.', 0, 10)
    # [paper 4.4: 1024, 256]
    svd: tuple[int, ...] = option(
        (), 'Singular values kept of each dense layer (truncated SVD); empty: all.', 1, 8192
    )
    # [config of the later releases]
    min_score: float = option(0.05, 'Least score of a detection.', 0, 1)
    # [ours: fast_rcnn/test.py lets 100 in; on a photo of 14 cells with 15 regions each most cells were then
    # missed]
    per_class: int = option(1000, 'Boxes of a class and photo that enter non-maximum suppression.', 1, 1000)
    # [ours; 0.3 in config TEST.NMS: of 101 boxed bananas 26 overlap another by more than that]
    nms_iou: float = option(
        0.4, 'IoU with a better box of its class above which a detection is dropped.', 0, 1
    )
    seed: int = 0  # the training's


FAST_RCNN = DetectorInfo(
    kind='fast-rcnn',
    options=FastRcnnSpec,
    name='Fast R-CNN',
    summary='fast',
    why=(
        'Fast R-CNN runs the network once on a photo and classifies each proposed region from the feature '
        'map.'
    ),
    curve_note=(
        'The training loss after each epoch. '
        'In the first epochs only the new layers are trained, then all of them.'
    ),
)
