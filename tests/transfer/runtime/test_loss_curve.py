"""The loss curve of a training: added to by epoch, kept through a kill, of limited length."""

from __future__ import annotations

from transfer.runtime.loss_curve import MOST_POINTS, LossCurve


def test_the_last_word_of_a_pass_counts_and_is_there_after_a_kill(tmp_path):
    curve = LossCurve(tmp_path / 'checkpoints' / 'curve.json')
    for epoch, loss in ((1, 0.9), (1, 0.8), (2, 0.5), (3, 0.4)):
        curve.add(epoch, loss)
    again = LossCurve(tmp_path / 'checkpoints' / 'curve.json')  # went on from a checkpoint in the second pass
    for epoch, loss in ((2, 0.5), (3, 0.4), (3, 0.3)):
        again.add(epoch, loss)
    assert [(point.epoch, point.loss) for point in again.points()] == [(1, 0.8), (2, 0.5), (3, 0.3)]


def test_a_long_loss_curve_is_thinned_and_keeps_its_last_point(tmp_path):
    curve = LossCurve(tmp_path / 'curve.json')
    for epoch in range(1, 458):
        curve.add(epoch, 1 / epoch)
    epochs = [point.epoch for point in curve.points()]
    assert len(epochs) <= MOST_POINTS and epochs[-1] == 457 and epochs == sorted(epochs)
