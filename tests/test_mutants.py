"""The table of mutants fits the sources; `make mutants` runs it."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from tests.mutants.table import MUTANTS, Mutant, find_broken_anchors

ROOT = Path(__file__).resolve().parents[1]


def test_every_mutant_changes_one_place_that_is_there():
    assert find_broken_anchors(MUTANTS, ROOT) == []


def test_a_place_that_is_gone_is_caught():
    gone = Mutant('p2l/scores.py', 'x', 'no such text', 'y', ('tests/p2l/test_scores.py::test_none',))
    assert len(find_broken_anchors([gone], ROOT)) == 2


def test_the_learning_rooms_have_their_mutants():
    assert len(MUTANTS) >= 60
    rooms = Counter('/'.join(mutant.file.split('/')[:2]) for mutant in MUTANTS)
    assert {'transfer/finetune', 'transfer/features', 'transfer/detection', 'transfer/regions'} <= set(rooms)
