"""Every number of R-CNN (Girshick et al., CVPR 2014), with its source. No torch."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class RcnnSpec:
    """Sources: [paper] the technical report v5, [code] rbgirshick/rcnn, [proto] its solver and network files,
    [ours] a departure, with its reason.
    """

    proposals: int = 2000  # the best of an image [paper 2.2]
    # [ours: each costs a pass of the network, 3 ms of a core for MobileNet v3 small: 2,000 would be hours for
    # 200 photos]
    cpu_proposals: int = 300  # instead, on a machine without a GPU
    # pixels of surroundings around the warped box, at the network's input [paper, appendix A]
    context: int = 16
    # Finetuning of the source network on warped regions.
    batch: int = 128  # regions a step [proto window_data_param]
    # of them through the network at once [ours: 1.7 GB resident instead of 3.2 for MobileNetV3-Small, and no
    # slower]
    part: int = 32
    foreground_share: float = 0.25  # [proto fg_fraction]
    foreground_iou: float = 0.5  # and more is an object, anything less is background [paper 2.3]
    flip: bool = True  # [proto mirror]
    rate: float = 0.001  # of the source's layers, a tenth of their first training's [paper 2.3]
    new_rate: float = 10.0  # times that for the new last layer [proto fc8 lr_mult]
    bias_rate: float = 2.0  # times that for biases, which do not decay [proto]
    momentum: float = 0.9  # [proto]
    decay: float = 0.0005  # [proto]
    step_at: float = 0.75  # share of the steps after which the rate falls to a tenth [proto: every 20k]
    warm_up: int = 20  # steps from a tenth of the rate to all of it [ours: the new layer begins at random]
    # largest norm of a step's gradient [ours, as Fast R-CNN: MobileNetV3 diverged on real photos without]
    clip: float = 10.0
    steps: int = 200  # [ours: 70k was for 5,000 photos of 20 classes from another domain]
    # One linear SVM a class.
    svm_c: float = 0.001  # [code rcnn_train.m]
    svm_bias: float = 10.0  # value of the constant feature [code bias_mult]
    svm_positive_weight: float = 2.0  # [code pos_loss_weight]
    feature_norm: float = 20.0  # mean length that features are scaled to [code rcnn_scale_features.m]
    # and less with every object of the class is a negative; true boxes alone are positive [paper 2.3]
    negative_iou: float = 0.3
    hard_margin: float = -1.0001  # negatives that score more are taken in [code hard_thresh]
    easy_margin: float = -1.2  # negatives that score less are let go [code evict_thresh]
    retrain_after: int = 2000  # new negatives [code retrain_limit]
    # Class-specific box regression.
    ridge: float = 1000.0  # lambda [paper, appendix C]
    regress_iou: float = 0.6  # least overlap of a region that teaches to move [paper, appendix C]
    # added to the variances before their roots are divided by [code rcnn_train_bbox_regressor.m]
    whiten: float = 0.001
    # Detection.
    # margin under which nothing is told [ours: figures are kept, time and lists are not wasted]
    min_score: float = -1.0
    # boxes of a class and image that enter suppression [ours: rcnn_test.m keeps 100; see Fast R-CNN]
    per_class: int = 1000
    nms_iou: float = 0.3  # [code rcnn_test.m]
    embed_batch: int = 64  # crops through the network at once [ours]
    seed: int = 0
