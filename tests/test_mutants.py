"""The table of mutants fits the sources; `make mutants` runs it."""

from __future__ import annotations

from pathlib import Path

from tests.mutants.__main__ import SURVIVAL_LIMIT, fingerprint
from tests.mutants.table import MUTANTS, Mutant, find_broken_anchors

ROOT = Path(__file__).resolve().parents[1]
LEARNING = (
    'data',
    'features',
    'selection',
    'finetune',
    'classification',
    'regions',
    'detection',
    'serving',
)


def test_every_mutant_changes_one_place_that_is_there():
    assert find_broken_anchors(MUTANTS, ROOT) == []


def test_a_place_that_is_gone_is_caught():
    gone = Mutant('p2l/scores.py', 'x', 'no such text', 'y', ('tests/p2l/test_scores.py::test_none',))
    assert len(find_broken_anchors([gone], ROOT)) == 2


def test_every_learning_room_and_every_module_of_p2l_has_its_mutants():
    files = {mutant.file for mutant in MUTANTS}
    rooms = {'/'.join(file.split('/')[:2]) for file in files}
    assert {f'transfer/{room}' for room in LEARNING} <= rooms
    modules = [path for path in (ROOT / 'p2l').rglob('*.py') if path.stem != '__init__']
    assert {str(path.relative_to(ROOT)) for path in modules} <= files


def test_few_mutants_may_survive_and_each_says_why():
    excused = [mutant for mutant in MUTANTS if mutant.excuse]
    assert len(excused) <= SURVIVAL_LIMIT * len(MUTANTS)
    assert all(len(mutant.excuse.split()) > 5 for mutant in excused)


def test_a_mutant_that_was_killed_is_tried_again_when_its_tests_change(tmp_path):
    mutant = Mutant('learning.py', 'x', 'old', 'new', ('tests.py::test_learning',))
    (tmp_path / 'learning.py').write_text('old')
    (tmp_path / 'tests.py').write_text('def test_learning(): ...')
    before = fingerprint(mutant, tmp_path)
    assert fingerprint(mutant, tmp_path) == before
    (tmp_path / 'tests.py').write_text('def test_learning(): assert False')
    assert fingerprint(mutant, tmp_path) != before
