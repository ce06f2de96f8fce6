from __future__ import annotations

import json

import numpy as np
import pytest

from p2l.benchmark.baselines import chances, compare, exhaustive, generic, shortlisted, similarity
from p2l.benchmark.metrics import by_name
from p2l.benchmark.records import read, signed_only
from tests.support.benchmark_records import copy_target, write_evaluation


@pytest.fixture
def evidence(tmp_path):
    return read(write_evaluation(tmp_path / 'evaluation'))


def test_a_record_is_read_as_it_was_written(evidence):
    assert evidence.table.targets == ('a', 'b', 'c')
    assert evidence.table.sources == ('huge', 'huge-small', 'near-a', 'near-b')
    assert evidence.table.mean[0].tolist() == pytest.approx([0.805, 0.705, 0.855, 0.505])
    assert evidence.complete.all()
    assert evidence.measures['probe'].shape == (3, 2, 4)


def test_every_rule_of_the_comparison_is_there(evidence):
    found = by_name(compare(evidence))
    assert list(found) == [
        'random',
        'largest source',
        'generic (huge)',
        'static (best elsewhere)',
        'KL(target || source) only',
        'KL(source || target) only',
        'Jensen-Shannon only',
        'cosine only',
        "earth mover's distance only",
        'P2L 1.5 : 1',
        'P2L fitted on the other targets',
        'P2L, shortlist of 5, probe',
        'probe of every source',
        'LogME',
        'k-NN',
        'LEEP',
        'oracle',
    ]
    assert found['oracle'].regret.mean == pytest.approx(0)
    assert found['LogME'].regret.mean == pytest.approx(0)  # the hand-written one knows the accuracies


def test_likeness_finds_the_signed_source_of_the_targets_own_kind(evidence):
    scores = similarity(evidence, 'kl')
    assert scores[0, 0].argmax() == 2
    assert scores[1, 1].argmax() == 3
    assert scores[0, 0, :2].tolist() == [0, 0]  # nobody knows how like the unsigned ones are


def test_generic_is_the_largest_network_of_the_largest_data_set(evidence):
    assert generic(evidence) == 'huge'


def test_costs_are_what_the_steps_took(evidence):
    found = by_name(compare(evidence))
    assert exhaustive(evidence).tolist() == pytest.approx([40.0] * 3)  # four sources at 0.2 + 0.3 + 9.5
    assert found['P2L 1.5 : 1'].seconds == pytest.approx(1.0)
    assert found['P2L, shortlist of 5, probe'].seconds == pytest.approx(1.0 + 4 * 0.5)  # there are only four
    assert found['P2L, shortlist of 5, probe'].share == pytest.approx(3 / 40)
    assert found['LEEP'].seconds == pytest.approx(1.6)
    assert found['oracle'].share == pytest.approx(1)


def test_a_shortlist_is_ordered_with_the_source_taken_first_and_what_was_not_probed_last(evidence):
    scores, _ = shortlisted(evidence, 2)
    for row in scores.reshape(-1, 4):
        assert sorted(row) == [-3, -2, -1, 0]


def test_a_target_that_was_only_begun_is_not_compared_and_a_seed_half_run_neither(tmp_path):
    folder = write_evaluation(
        tmp_path / 'evaluation', left_out={('c', 'huge', 0), ('c', 'huge', 1), ('a', 'near-a', 1)}
    )
    evidence = read(folder)
    assert evidence.table.targets == ('a', 'b')
    assert evidence.complete.tolist() == [[True, False], [True, True]]
    assert evidence.table.mean[0].tolist() == pytest.approx([0.8, 0.7, 0.85, 0.5])  # of the whole seed alone
    assert np.isfinite([item.regret.mean for item in compare(evidence)]).all()


def test_a_target_of_which_no_seed_was_run_whole_is_not_compared(tmp_path):
    folder = write_evaluation(tmp_path / 'evaluation', left_out={('c', 'huge', 0), ('c', 'near-a', 1)})
    assert read(folder).table.targets == ('a', 'b')


def test_of_networks_of_one_data_set_that_probes_cannot_tell_apart_the_lighter_one_is_taken(tmp_path):
    folder = write_evaluation(tmp_path / 'evaluation')
    for file in (folder / 'cells').glob(
        '*--huge*'
    ):  # equal probes on every target, and heavier than its sibling
        cell = json.loads(file.read_text())
        bits = '1' * 39 + '0'
        cell |= {'macs': 3e8 if cell['source'] == 'huge' else 6e7, 'probe_right': bits, 'probe': 39 / 40}
        file.write_text(json.dumps(cell))
    scores, _ = shortlisted(read(folder), 4)
    assert set(scores.argmax(2).ravel()) == {1}


def test_an_empty_folder_holds_nothing_to_compare(tmp_path):
    with pytest.raises(ValueError, match='holds no evaluation'):
        read(tmp_path)
    (write_evaluation(tmp_path / 'evaluation', seeds=0) / 'cells').rmdir()
    with pytest.raises(ValueError, match='No target'):
        read(tmp_path / 'evaluation')


def test_with_one_seed_a_tie_is_what_the_held_out_images_cannot_tell_apart(tmp_path):
    evidence = read(write_evaluation(tmp_path / 'evaluation', seeds=1))
    # on target a 85 and 80 of the same 100 images are right: 5 differ, an error of sqrt(5) / 100
    assert evidence.table.paired[0].tolist() == pytest.approx([5**0.5 / 100, 15**0.5 / 100, 0, 35**0.5 / 100])
    assert by_name(compare(evidence))['oracle'].chance == pytest.approx(1 / 4)


def test_among_the_signed_sources_divergences_know_every_candidate(evidence):
    signed = signed_only(evidence)
    assert signed.table.sources == ('near-a', 'near-b')
    found = by_name(compare(signed))
    assert found['KL(target || source) only'].by_target[:2] == pytest.approx((0, 0))
    assert signed_only(signed) is None


def test_a_source_counts_by_how_often_a_zoo_that_holds_it_would_take_it(evidence):
    found = chances(evidence)
    assert found.sum(2) == pytest.approx(np.ones((3, 2)))
    # of target a: near-a wherever it is (its probe is the best); huge in every other zoo that has it
    assert found[0, 0, 2] == pytest.approx(0.5, abs=0.1)
    assert found[0, 0, 0] == pytest.approx(0.25, abs=0.1)
    assert found[0, 0, 3] < 0.1


def test_with_five_targets_the_expected_accuracy_is_a_rule_of_its_own(tmp_path):
    folder = write_evaluation(tmp_path / 'evaluation')
    for new in ('d', 'e'):
        copy_target(folder, 'a', new)
    found = by_name(compare(read(folder)))['highest expected accuracy of 5']
    assert found.share == pytest.approx(3 / 40)
    assert found.by_target[0] == pytest.approx(0)  # probes of the hand-written record point at the best


def test_a_run_that_was_broken_off_before_the_first_cell_of_a_new_seed_can_be_read(tmp_path):
    folder = write_evaluation(tmp_path / 'evaluation')
    look = json.loads((folder / 'looks' / 'a--0.json').read_text())
    (folder / 'looks' / 'a--2.json').write_text(json.dumps(look | {'seed': 2}))
    assert read(folder).complete.shape == (3, 2)
