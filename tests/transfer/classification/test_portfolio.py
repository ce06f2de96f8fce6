"""Which classifier is served: by its loss on images that no candidate was trained on."""

from __future__ import annotations

import numpy as np
import pytest

from transfer.classification.portfolio import (
    Candidate,
    average_answers,
    choose_candidate,
    is_better,
    make_ensemble,
)
from transfer.features.calibration import fit_temperature
from transfer.features.metrics import accuracy
from transfer.runtime.softmax import softmax

LABELS = np.arange(60) % 3


def guess(strength: float, seed: int, scale: float = 1.0) -> np.ndarray:
    """Logits of three classes: noise, and so much for the true one."""
    noise = np.random.default_rng(seed).normal(size=(60, 3))
    return scale * (noise + strength * np.eye(3)[LABELS])


def linear(strength: float) -> Candidate:
    return Candidate('linear', 'a linear head', guess(strength, 0))


def together(strength: float) -> Candidate:
    return Candidate('ensemble', 'three', guess(strength, 0))


def test_the_cheaper_candidate_is_kept_when_the_dearer_one_answers_the_same():
    cheap, dear = (
        Candidate('linear', 'a linear head', guess(2, 0)),
        Candidate('ensemble', 'three', guess(2, 0)),
    )
    chosen, why = choose_candidate([cheap, dear], LABELS)
    assert chosen is cheap
    assert why.endswith('Kept: a linear head, because no dearer one has a noticeably lower log loss.')


def test_a_dearer_candidate_that_is_surer_of_the_truth_replaces_a_cheaper_one():
    cheap, dear = (
        Candidate('linear', 'a linear head', guess(2, 0)),
        Candidate('ensemble', 'three', guess(5, 0)),
    )
    chosen, why = choose_candidate([cheap, dear], LABELS)
    assert chosen is dear
    assert why.startswith('Of 60 images not seen in training a linear head classified ')
    assert why.endswith('Kept: three, because its log loss is noticeably lower than that of cheaper ones.')


def test_a_worse_candidate_is_never_taken_however_dear():
    cheap, dear = (
        Candidate('linear', 'a linear head', guess(5, 0)),
        Candidate('ensemble', 'three', guess(2, 0)),
    )
    assert choose_candidate([cheap, dear], LABELS)[0] is cheap


def test_what_was_given_up_is_named_but_cannot_be_served():
    finetuned = Candidate('finetuned', 'the finetuned network', guess(9, 0))
    chosen, why = choose_candidate([linear(2), finetuned], LABELS, given_up=True)
    assert chosen.kind == 'linear'
    assert 'the finetuned network 100.0 %' in why


def test_candidates_are_compared_calibrated():
    overconfident = guess(2.3, 0, scale=200.0)  # and sometimes wrong
    assert is_better(overconfident, guess(2, 0), LABELS)
    assert not is_better(guess(2, 0), overconfident, LABELS)


def test_an_ensemble_averages_probabilities_and_not_logits():
    first, second = np.array([[4.0, 0.0]]), np.array([[-1.0, 1.0]])
    expected = (softmax(first, 2.0) + softmax(second, 1.0)) / 2
    np.testing.assert_allclose(np.exp(average_answers([first, second], [2.0, 1.0])), expected, rtol=1e-9)


def test_every_member_is_calibrated_before_it_counts():
    """One member that shouts must not outvote two that whisper the truth."""
    shouting = guess(0, 1, scale=50.0)
    ensemble = make_ensemble('ensemble', 'three', [guess(3, 2), guess(3, 3), shouting], LABELS)
    assert ensemble.temperatures == tuple(
        fit_temperature(each, LABELS) for each in (guess(3, 2), guess(3, 3), shouting)
    )
    raw = average_answers([guess(3, 2), guess(3, 3), shouting], [1.0, 1.0, 1.0])
    assert accuracy(ensemble.logits, LABELS) > accuracy(raw, LABELS)
    assert accuracy(ensemble.logits, LABELS) > 0.9


@pytest.mark.parametrize('kind', ['finetuned', 'finetuned ensemble'])
def test_what_contains_a_finetuned_network_says_so(kind):
    assert Candidate(kind, '', guess(1, 0)).is_finetuned
    assert not Candidate('ensemble', '', guess(1, 0)).is_finetuned
