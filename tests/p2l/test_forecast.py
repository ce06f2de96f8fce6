from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from p2l.forecast import Forecaster, Outcomes, held_out_hits, learn, log_odds, share
from p2l.learning_curve import Point, gain


def record(targets=8, sources=10, spread=0.3, seed=0, held=200):
    """Finetuning adds 0.5 to the log odds of the probe, give or take a deviation that each target has of its own."""
    chance = np.random.default_rng(seed)
    target = np.repeat(np.arange(targets), sources)
    truth = chance.normal(0.8, 0.8, len(target))
    probe = chance.binomial(150, share(truth)) / 150
    moved = (
        truth + 0.5 + chance.normal(0, spread, targets)[target] + chance.normal(0, spread / 3, len(target))
    )
    accuracy = chance.binomial(held, share(moved)) / held
    images, judged = np.full(len(target), 150.0), np.full(len(target), float(held))
    weight = np.ones(len(target))
    return Outcomes(
        target,
        probe,
        images,
        chance.normal(size=len(target)),
        accuracy,
        judged,
        0 * target,
        0 * target,
        weight,
    )


def test_what_finetuning_adds_to_the_probe_is_learned():
    found = learn(record(targets=30, spread=0.1))
    assert found.intercept == pytest.approx(0.5, abs=0.15)
    assert found.probe == pytest.approx(1, abs=0.15)
    assert found.score == pytest.approx(0, abs=0.05)
    said = found.expect(0.8, 150, 0.0)
    assert said.low < share(log_odds(0.8, 150) + 0.5) < said.high


def test_the_interval_covers_new_targets_as_often_as_it_says():
    hits = [held_out_hits(record(targets=6, seed=seed))[0].mean() for seed in range(8)]
    assert 0.85 <= np.mean(hits) <= 1


def test_targets_that_differ_more_make_wider_intervals():
    near, far = (held_out_hits(record(spread=spread))[1].mean() for spread in (0.1, 0.8))
    assert far > 1.3 * near


def test_an_interval_of_fewer_photos_is_wider():
    found = learn(record())
    few, many = (found.expect(0.8, images, 0.0) for images in (30, 3000))
    assert few.high - few.low > many.high - many.low


def test_what_no_choice_takes_neither_moves_nor_widens_the_interval():
    known = record(spread=0.1)
    wild = dataclasses.replace(record(spread=2.0, seed=1), weight=np.zeros(80))
    names = [field.name for field in dataclasses.fields(Outcomes)]
    both = {name: np.concatenate([getattr(known, name), getattr(wild, name)]) for name in names}
    alone, beside = learn(known), learn(Outcomes(**both))
    assert (beside.spread, beside.below, beside.above) == pytest.approx(
        (alone.spread, alone.below, alone.above), rel=0.01
    )
    assert beside.expect(0.8, 150, 0.0).middle == pytest.approx(alone.expect(0.8, 150, 0.0).middle, abs=0.005)


def test_perfection_is_finite():
    said = learn(record()).expect(1.0, 100, 0.0)
    assert 0 < said.low < said.middle < said.high < 1


def test_three_targets_are_too_few():
    with pytest.raises(ValueError, match='3 targets'):
        learn(record(targets=3))


def test_a_forecaster_is_kept_as_plain_numbers():
    found = learn(record())
    assert Forecaster.of(found.to_json()) == found
    equal = {name: value for name, value in found.to_json().items() if name not in ('below', 'above')} | {
        'tail': 2.5
    }
    assert Forecaster.of(equal) == dataclasses.replace(found, below=2.5, above=2.5)


def test_where_finetuning_gains_much_more_often_than_it_loses_the_interval_reaches_up():
    known = record(targets=12, spread=0.05)
    gains = np.random.default_rng(1).exponential(0.6, 12)[known.target]
    lifted = dataclasses.replace(known, accuracy=share(log_odds(known.accuracy, known.held) + gains))
    found = learn(lifted)
    assert found.above > 1.5 * found.below > 0
    hits, _ = held_out_hits(lifted)
    assert hits.mean() > 0.8


def test_more_photos_carry_the_curve_on():
    # log odds grow by 0.5 with every doubling
    points = [Point(n, float(share(np.array(1 + 0.5 * np.log2(n / 400)))), 4000) for n in (100, 200, 400)]
    found = gain(points, 400)
    assert found.images == 400
    assert found.middle == pytest.approx(float(share(np.array(1.5)) - share(np.array(1.0))), abs=0.005)
    assert found.low < found.middle < found.high


def test_nothing_is_said_beyond_twice_the_photos():
    points = [Point(50, 0.6, 100), Point(100, 0.7, 100)]
    assert gain(points, 100_000).images == 100


def test_a_curve_that_falls_by_chance_promises_nothing_but_may_hide_a_rise():
    found = gain([Point(50, 0.72, 60), Point(100, 0.7, 60)], 100)
    assert (found.middle, found.low) == (0, 0)
    assert found.high > 0


def test_one_size_says_nothing_of_the_slope():
    assert gain([Point(100, 0.7, 100)], 50) is None
