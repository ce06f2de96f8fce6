"""Every number of R-CNN (Girshick et al., CVPR 2014), with its source. No torch."""

from __future__ import annotations

from dataclasses import dataclass

from transfer.spec.detector_info import DetectorInfo
from transfer.spec.options import option


@dataclass(frozen=True)
class RcnnSpec:
    """Sources: [paper] the technical report v5, [code] rbgirshick/rcnn, [proto] its solver and network files,
    [ours] a departure, with its reason.
    """

    # [paper 2.2]
    proposals: int = option(2000, 'Region proposals of a photo that are looked at.', 1, 20_000)
    # [ours: each costs a pass of the network, 3 ms of a core for MobileNet v3 small: 2,000 would be hours for
    # 200 photos]
    cpu_proposals: int = option(300, 'The same on a machine without a GPU, where there are fewer.', 1, 20_000)
    # [paper, appendix A]
    context: int = option(16, 'Pixels of surroundings around a region, in the input of the network.', 0, 64)
    # Finetuning of the source network on warped regions.
    batch: int = option(128, 'Regions in one step of finetuning.', 4, 4096)  # [proto window_data_param]
    # [ours: 1.7 GB resident instead of 3.2 for MobileNetV3-Small, and no slower]
    part: int = option(32, 'Regions of a step that go through the network at once.', 1, 4096)
    foreground_share: float = option(
        0.25, 'Share of the regions of a step that hold an object.', 0.01, 1
    )  # [proto fg_fraction]
    # Anything less is background [paper 2.3].
    foreground_iou: float = option(0.5, 'Least IoU with a box at which a region holds an object.', 0, 1)
    flip: bool = option(True, 'Train on mirrored regions as well.')  # [proto mirror]
    # A tenth of their first training's [paper 2.3].
    rate: float = option(0.001, 'Learning rate of the layers of the source model.', 0, 1)
    # [proto fc8 lr_mult]
    new_rate: float = option(10.0, 'Learning rate of the new last layer, as a multiple of `rate`.', 0, 1000)
    # [proto]
    bias_rate: float = option(
        2.0, 'Learning rate of biases, as a multiple of the other weights’; they do not decay.', 0, 1000
    )
    momentum: float = option(0.9, 'Momentum of SGD.', 0, 1)  # [proto]
    decay: float = option(0.0005, 'Weight decay.', 0, 1)  # [proto]
    # [proto: every 20k]
    step_at: float = option(0.75, 'Share of the steps after which learning rates fall to a tenth.', 0, 1)
    # [ours: the new layer begins at random]
    warm_up: int = option(20, 'Steps in which learning rates rise from a tenth.', 0, 100_000)
    # [ours, as Fast R-CNN: MobileNetV3 diverged on real photos without]
    clip: float = option(10.0, 'Largest norm of the gradient of a step.', 0, 1e6)
    # [ours: 70k was for 5,000 photos of 20 classes from another domain]
    steps: int = option(200, 'Steps of finetuning; 0: the network stays as it is.', 0, 1_000_000)
    # One linear SVM a class.
    svm_c: float = option(0.001, 'C of the SVMs.', 1e-8, 1e4)  # [code rcnn_train.m]
    svm_bias: float = option(10.0, 'Value of the constant feature of the SVMs.', 0, 1e6)  # [code bias_mult]
    # [code pos_loss_weight]
    svm_positive_weight: float = option(2.0, 'Weight of positives in the loss of the SVMs.', 0, 1e6)
    # [code rcnn_scale_features.m]
    feature_norm: float = option(20.0, 'Mean norm that features are scaled to.', 0, 1e6)
    # True boxes alone are positive [paper 2.3].
    negative_iou: float = option(
        0.3, 'IoU with every box of the class below which a region is a negative.', 0, 1
    )
    # [code hard_thresh]
    hard_margin: float = option(-1.0001, 'Negatives that score more are added to the SVM.', -1e6, 1e6)
    # [code evict_thresh]
    easy_margin: float = option(-1.2, 'Negatives that score less are dropped again.', -1e6, 1e6)
    # [code retrain_limit]
    retrain_after: int = option(2000, 'New negatives after which the SVM is fitted again.', 0, 1_000_000)
    # Class-specific box regression.
    ridge: float = option(1000.0, 'Lambda of the ridge regression of boxes.', 0, 1e6)  # [paper, appendix C]
    # [paper, appendix C]
    regress_iou: float = option(0.6, 'Least IoU of a region from which box regression learns.', 0, 1)
    # [code rcnn_train_bbox_regressor.m]
    whiten: float = option(0.001, 'Added to the variances of the box targets before whitening.', 0, 1e6)
    # Detection.
    # [ours: figures are kept, time and lists are not wasted]
    min_score: float = option(-1.0, 'Least SVM margin of a detection.', -1e6, 1)
    # [ours: rcnn_test.m keeps 100; see Fast R-CNN]
    per_class: int = option(1000, 'Boxes of a class and photo that enter non-maximum suppression.', 1, 1000)
    # [code rcnn_test.m]
    nms_iou: float = option(
        0.3, 'IoU with a better box of its class above which a detection is dropped.', 0, 1
    )
    embed_batch: int = option(64, 'Regions that go through the network at once in detection.', 1, 4096)
    seed: int = 0  # the training's


RCNN = DetectorInfo(
    kind='rcnn',
    options=RcnnSpec,
    name='R-CNN',
    summary='runs the network on every region, slow',
    why='R-CNN runs the network on each proposed region: slow to predict, but it needs few boxes.',
    curve_note=(
        'The training loss after each step of the network; the SVMs that are trained after it have no curve.'
    ),
    cost_note='R-CNN runs the network on every region separately; Fast R-CNN is many times faster.',
    crops_regions=True,
)
