from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from p2l.forecast import (
    FinetuningRecord,
    Forecaster,
    fit_forecaster,
    log_odds,
    sigmoid,
    validate_intervals,
)
from p2l.learning_curve import CurvePoint, forecast_gain


def record(targets=8, sources=10, spread=0.3, seed=0, test_images=200):
    """Finetuning adds 0.5 to the log odds of the probe, give or take a deviation that each target has of its
    own."""
    generator = np.random.default_rng(seed)
    target = np.repeat(np.arange(targets), sources)
    truth = generator.normal(0.8, 0.8, len(target))
    probe = generator.binomial(150, sigmoid(truth)) / 150
    moved = (
        truth
        + 0.5
        + generator.normal(0, spread, targets)[target]
        + generator.normal(0, spread / 3, len(target))
    )
    accuracy = generator.binomial(test_images, sigmoid(moved)) / test_images
    return FinetuningRecord(
        target=target,
        probe=probe,
        probe_images=np.full(len(target), 150.0),
        score=generator.normal(size=len(target)),
        accuracy=accuracy,
        test_images=np.full(len(target), float(test_images)),
        seed=0 * target,
        source=0 * target,
        weight=np.ones(len(target)),
    )


def test_the_regression_finds_what_finetuning_adds_to_the_probe():
    found = fit_forecaster(record(targets=30, spread=0.1))
    assert found.intercept == pytest.approx(0.5, abs=0.15)
    assert found.probe == pytest.approx(1, abs=0.15)
    assert found.score == pytest.approx(0, abs=0.05)
    expected = found.predict(0.8, 150, 0.0)
    assert expected.low < sigmoid(log_odds(0.8, 150) + 0.5) < expected.high


def test_the_interval_covers_new_targets_as_often_as_its_level():
    covered = [validate_intervals(record(targets=6, seed=seed))[0].mean() for seed in range(8)]
    assert 0.85 <= np.mean(covered) <= 1


def test_of_forty_targets_one_lies_beyond_the_interval_on_either_side():
    """Rank ceil(0.95 (40 + 1)) = 39; without the new target in the count it would be ceil(0.95 * 40) = 38,
    and two beyond."""
    # With equal probes and scores the regression is the mean, so the error of target i, predicted from the
    # others, is 40 / 39 (y_i - mean); with this many images there is no counting noise.
    y = np.linspace(-2, 2, 40)
    equal, many = np.full(40, 0.5), np.full(40, 1e12)
    target = np.arange(40)
    known = FinetuningRecord(target, equal, many, equal, sigmoid(y), many, target, target, np.ones(40))
    found = fit_forecaster(known)
    wanted = 40 / 39 * (2 - 4 / 39)
    assert (found.below * found.spread, found.above * found.spread) == pytest.approx((wanted, wanted))


def test_targets_that_differ_more_make_wider_intervals():
    near, far = (validate_intervals(record(spread=spread))[1].mean() for spread in (0.1, 0.8))
    assert far > 1.3 * near


def test_an_interval_of_fewer_photos_is_wider():
    found = fit_forecaster(record())
    few, many = (found.predict(0.8, images, 0.0) for images in (30, 3000))
    assert few.high - few.low > many.high - many.low


def test_an_interval_by_hand():
    """Its unit is the spread of targets and the counting noise 1 / (n p q) of probe and test; its sides
    differ."""
    known = Forecaster(intercept=0, probe=1, score=0.5, spread=0.3, below=1, above=2, targets=9, rows=9)
    for test_images, noise in ((None, 0.04), (400, 0.01), (np.inf, 0.0)):
        unit = np.sqrt(0.3**2 + 0.04 + noise)
        found = known.predict(0.5, 100, 0.0, test_images)
        wanted = sigmoid(np.array([0, -unit, 2 * unit]))
        assert (found.middle, found.low, found.high) == pytest.approx(tuple(wanted))


def test_log_odds_count_half_an_image_on_either_side():
    assert log_odds(0.75, 4) == pytest.approx(np.log(3.5 / 1.5))
    assert log_odds(0.0, 9) == pytest.approx(-np.log(9.5 / 0.5))
    assert log_odds(0.5, 1000) == 0


def test_sources_that_no_choice_takes_neither_move_nor_widen_the_interval():
    known = record(spread=0.1)
    wild = dataclasses.replace(record(spread=2.0, seed=1), weight=np.zeros(80))
    names = [field.name for field in dataclasses.fields(FinetuningRecord)]
    both = {name: np.concatenate([getattr(known, name), getattr(wild, name)]) for name in names}
    alone, beside = fit_forecaster(known), fit_forecaster(FinetuningRecord(**both))
    assert (beside.spread, beside.below, beside.above) == pytest.approx(
        (alone.spread, alone.below, alone.above), rel=0.01
    )
    assert beside.predict(0.8, 150, 0.0).middle == pytest.approx(
        alone.predict(0.8, 150, 0.0).middle, abs=0.005
    )


def test_perfection_is_finite():
    expected = fit_forecaster(record()).predict(1.0, 100, 0.0)
    assert 0 < expected.low < expected.middle < expected.high < 1


def test_three_targets_are_too_few():
    with pytest.raises(ValueError, match='3 targets'):
        fit_forecaster(record(targets=3))


def test_a_forecaster_is_stored_as_plain_numbers():
    found = fit_forecaster(record())
    assert Forecaster.from_json(found.to_json()) == found
    equal = {name: value for name, value in found.to_json().items() if name not in ('below', 'above')} | {
        'tail': 2.5
    }
    assert Forecaster.from_json(equal) == dataclasses.replace(found, below=2.5, above=2.5)


def test_where_finetuning_gains_much_more_often_than_it_loses_the_interval_reaches_up():
    known = record(targets=12, spread=0.05)
    gains = np.random.default_rng(1).exponential(0.6, 12)[known.target]
    lifted = dataclasses.replace(known, accuracy=sigmoid(log_odds(known.accuracy, known.test_images) + gains))
    found = fit_forecaster(lifted)
    assert found.above > 1.5 * found.below > 0
    covered, _ = validate_intervals(lifted)
    assert covered.mean() > 0.8


def test_the_curve_is_extrapolated_by_its_growth_with_every_doubling():
    # log odds grow by 0.5 with every doubling
    points = [
        CurvePoint(n, float(sigmoid(np.array(1 + 0.5 * np.log2(n / 400)))), 4000) for n in (100, 200, 400)
    ]
    found = forecast_gain(points, 400)
    assert found.images == 400
    assert found.middle == pytest.approx(float(sigmoid(np.array(1.5)) - sigmoid(np.array(1.0))), abs=0.005)
    assert found.low < found.middle < found.high


def test_the_curve_ends_at_twice_the_photos():
    points = [CurvePoint(50, 0.6, 100), CurvePoint(100, 0.7, 100)]
    assert forecast_gain(points, 100_000).images == 100


def test_a_curve_that_falls_by_chance_promises_nothing_but_may_hide_a_rise():
    found = forecast_gain([CurvePoint(50, 0.72, 60), CurvePoint(100, 0.7, 60)], 100)
    assert (found.middle, found.low) == (0, 0)
    assert found.high > 0


def test_one_size_says_nothing_of_the_slope():
    assert forecast_gain([CurvePoint(100, 0.7, 100)], 50) is None


def test_the_slope_is_of_a_line_weighted_by_counting_noise_and_its_band_as_wide_as_that_allows():
    points = [CurvePoint(50, 0.6, 100), CurvePoint(100, 0.75, 400), CurvePoint(200, 0.77, 200)]
    tests = np.array([point.test_images for point in points])
    odds = np.array([log_odds(point.accuracy, point.test_images) for point in points])
    weights = tests * sigmoid(odds) * (1 - sigmoid(odds))
    slope = np.polyfit([0, 1, 2], odds, 1, w=np.sqrt(weights))[0]
    error = 1.959964 / np.sqrt(weights @ (np.arange(3) - weights @ np.arange(3) / weights.sum()) ** 2)
    found = forecast_gain(points, 200)  # one doubling
    wanted = [sigmoid(odds[2] + max(0.0, rise)) for rise in (slope, slope - error, slope + error)]
    assert (found.middle, found.low, found.high) == pytest.approx(tuple(wanted - sigmoid(odds[2])))


def test_a_target_unlike_all_others_lies_outside_the_interval_that_they_make():
    known = record(targets=8, spread=0.05)
    lost = np.where(known.target == 3, 0.02, known.accuracy)
    covered, _ = validate_intervals(dataclasses.replace(known, accuracy=lost))
    assert not covered[known.target == 3].any()
    assert covered[known.target != 3].all()


def test_what_the_count_of_photos_explains_is_no_spread_of_targets():
    # 40 images of a test scatter by 0.35 in log odds, and every target is like the others
    assert fit_forecaster(record(targets=30, spread=0.0, test_images=40)).spread < 0.25
    assert fit_forecaster(record(targets=30, spread=0.6, test_images=40)).spread > 0.4
