from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from p2l.benchmark.baselines import (
    collect_finetunings,
    evaluate_baselines,
    exhaustive_seconds,
    find_default_source,
    score_by_choice,
    score_by_forecast,
    score_similarity,
    score_size,
    selection_probabilities,
)
from p2l.benchmark.records import read_record, select_with_signature
from tests.support.benchmark_records import SOURCES, copy_target, write_evaluation


@pytest.fixture
def record(tmp_path):
    return read_record(write_evaluation(tmp_path / 'evaluation'))


def evaluate_by_name(record):
    return {result.name: result for result in evaluate_baselines(record)}


def test_a_record_is_read_as_it_was_written(record):
    assert record.table.targets == ('a', 'b', 'c')
    assert record.table.sources == ('huge', 'huge-small', 'near-a', 'near-b')
    assert record.table.mean[0].tolist() == pytest.approx([0.805, 0.705, 0.855, 0.505])
    assert record.complete.all()
    assert record.measures['probe'].shape == (3, 2, 4)


def test_every_baseline_is_evaluated(record):
    found = evaluate_by_name(record)
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


def test_similarity_finds_the_source_of_the_targets_own_kind(record):
    scores = score_similarity(record, 'kl')
    assert scores[0, 0].argmax() == 2
    assert scores[1, 1].argmax() == 3
    assert scores[0, 0, :2].tolist() == [0, 0]  # the similarity of sources without a signature is unknown


def test_generic_is_the_largest_network_of_the_largest_data_set(record):
    assert find_default_source(record) == 'huge'


def test_costs_are_what_the_steps_took(record):
    found = evaluate_by_name(record)
    assert exhaustive_seconds(record).tolist() == pytest.approx([40.0] * 3)  # four sources at 0.2 + 0.3 + 9.5
    assert found['P2L 1.5 : 1'].seconds == pytest.approx(1.0)
    assert found['P2L, shortlist of 5, probe'].seconds == pytest.approx(1.0 + 4 * 0.5)  # there are only four
    assert found['P2L, shortlist of 5, probe'].share == pytest.approx(3 / 40)
    assert found['LEEP'].seconds == pytest.approx(1.6)
    assert found['oracle'].share == pytest.approx(1)


def test_a_choice_is_ordered_with_the_source_chosen_first_and_what_was_not_probed_last(record):
    scores, _ = score_by_choice(record, 2)
    for row in scores.reshape(-1, 4):
        assert sorted(row) == [-3, -2, -1, 0]


def test_a_target_that_was_only_begun_is_not_compared_and_a_seed_half_run_neither(tmp_path):
    folder = write_evaluation(
        tmp_path / 'evaluation', left_out={('c', 'huge', 0), ('c', 'huge', 1), ('a', 'near-a', 1)}
    )
    record = read_record(folder)
    assert record.table.targets == ('a', 'b')
    assert record.complete.tolist() == [[True, False], [True, True]]
    assert record.table.mean[0].tolist() == pytest.approx([0.8, 0.7, 0.85, 0.5])  # of the whole seed alone
    assert np.isfinite([item.regret.mean for item in evaluate_baselines(record)]).all()


def test_a_target_of_which_no_seed_was_run_whole_is_not_compared(tmp_path):
    folder = write_evaluation(tmp_path / 'evaluation', left_out={('c', 'huge', 0), ('c', 'near-a', 1)})
    assert read_record(folder).table.targets == ('a', 'b')


def test_of_networks_of_one_data_set_that_probes_cannot_tell_apart_the_lighter_one_is_taken(tmp_path):
    folder = write_evaluation(tmp_path / 'evaluation')
    for file in (folder / 'cells').glob(
        '*--huge*'
    ):  # equal probes on every target, and heavier than its sibling
        cell = json.loads(file.read_text())
        bits = '1' * 39 + '0'
        cell |= {'macs': 3e8 if cell['source'] == 'huge' else 6e7, 'probe_correct': bits, 'probe': 39 / 40}
        file.write_text(json.dumps(cell))
    scores, _ = score_by_choice(read_record(folder), 4)
    assert set(scores.argmax(2).ravel()) == {1}


def test_an_empty_folder_holds_nothing_to_compare(tmp_path):
    with pytest.raises(ValueError, match='holds no evaluation'):
        read_record(tmp_path)
    (write_evaluation(tmp_path / 'evaluation', seeds=0) / 'cells').rmdir()
    with pytest.raises(ValueError, match='No target'):
        read_record(tmp_path / 'evaluation')


def test_with_one_seed_a_tie_is_what_the_held_out_images_cannot_tell_apart(tmp_path):
    record = read_record(write_evaluation(tmp_path / 'evaluation', seeds=1))
    # on target a 85 and 80 of the same 100 images are right: 5 differ, an error of sqrt(5) / 100
    assert record.table.paired_errors[0].tolist() == pytest.approx(
        [5**0.5 / 100, 15**0.5 / 100, 0, 35**0.5 / 100]
    )
    assert evaluate_by_name(record)['oracle'].chance == pytest.approx(1 / 4)


def test_among_the_sources_with_a_signature_every_divergence_is_known(record):
    known = select_with_signature(record)
    assert known.table.sources == ('near-a', 'near-b')
    found = evaluate_by_name(known)
    assert found['KL(target || source) only'].by_target[:2] == pytest.approx((0, 0))
    assert select_with_signature(known) is None


def test_a_source_is_weighted_by_how_often_a_random_zoo_would_choose_it(record):
    found = selection_probabilities(record)
    assert found.sum(2) == pytest.approx(np.ones((3, 2)))
    # of target a: near-a wherever it is (its probe is the best); huge in every other zoo that has it
    assert found[0, 0, 2] == pytest.approx(0.5, abs=0.1)
    assert found[0, 0, 0] == pytest.approx(0.25, abs=0.1)
    assert found[0, 0, 3] < 0.1


def test_with_five_targets_the_expected_accuracy_is_a_baseline_of_its_own(tmp_path):
    folder = write_evaluation(tmp_path / 'evaluation')
    for new in ('d', 'e'):
        copy_target(folder, 'a', new)
    found = evaluate_by_name(read_record(folder))['highest expected accuracy of 5']
    assert found.share == pytest.approx(3 / 40)
    assert found.by_target[0] == pytest.approx(0)  # probes of the hand-written record point at the best


def test_a_run_that_was_broken_off_before_the_first_cell_of_a_new_seed_can_be_read(tmp_path):
    folder = write_evaluation(tmp_path / 'evaluation')
    look = json.loads((folder / 'class_means' / 'a--0.json').read_text())
    (folder / 'class_means' / 'a--2.json').write_text(json.dumps(look | {'seed': 2}))
    assert read_record(folder).complete.shape == (3, 2)


def test_a_folder_of_an_earlier_version_is_read_alike(tmp_path):
    earlier = {
        'train_images': 'images',
        'test_images': 'held',
        'correct': 'right',
        'probe_correct': 'probe_right',
    }
    folder, now = write_evaluation(tmp_path / 'earlier'), write_evaluation(tmp_path / 'now')
    (folder / 'class_means').rename(folder / 'looks')
    for path in (folder / 'cells').glob('*.json'):
        cell = json.loads(path.read_text())
        path.write_text(json.dumps({earlier.get(key, key): value for key, value in cell.items()}))
    old, new = read_record(folder), read_record(now)
    assert evaluate_by_name(old) == evaluate_by_name(new)
    assert old.means.keys() == new.means.keys() and len(old.means) == 6
    assert old.test_images.tolist() == new.test_images.tolist()


@pytest.fixture
def five_targets(tmp_path):
    folder = write_evaluation(tmp_path / 'evaluation')
    for new in ('d', 'e'):
        copy_target(folder, 'a', new)
    return folder


def change_cells(folder, target, **values):
    for file in (folder / 'cells').glob(f'{target}--*'):
        file.write_text(json.dumps(json.loads(file.read_text()) | values))


def forecasts(folder, count):
    record = read_record(folder)
    by_choice, _ = score_by_choice(record, count)
    return score_by_forecast(record, by_choice, count)


def test_a_forecast_of_a_target_does_not_know_how_its_own_finetunings_came_out(five_targets):
    before = forecasts(five_targets, 5)
    change_cells(five_targets, 'b', accuracy=0.99)
    after = forecasts(five_targets, 5)
    np.testing.assert_allclose(after[1], before[1])
    assert not np.allclose(after[0], before[0])


def test_only_sources_that_were_probed_have_a_forecast(five_targets):
    found = forecasts(five_targets, 2)
    assert (np.isfinite(found).sum(2) == 2).all()


def test_a_finetuning_counts_the_images_of_its_probe_and_of_its_test(record):
    rows = collect_finetunings(record)
    assert set(rows.probe_images) == {40}
    assert set(rows.test_images) == {100}
    assert len(rows.target) == 3 * 2 * 4
    first = (rows.target == 0) & (rows.seed == 0)
    assert rows.accuracy[first].tolist() == [0.8, 0.7, 0.85, 0.5]


def test_of_one_data_set_the_larger_network_scores_higher_by_almost_nothing(record):
    huge, small, *near = score_size(record)
    assert 0 < huge - small < 1e-5
    assert small > max(near)


def test_class_by_class_a_source_of_the_targets_own_classes_is_nearer_than_its_mean(tmp_path):
    folder = write_evaluation(tmp_path / 'evaluation')
    setup = json.loads((folder / 'setup.json').read_text())
    look = json.loads((folder / 'class_means' / 'c--0.json').read_text())
    apart = [[9.0, 1, 1, 1, 1, 1], [1.0, 9, 1, 1, 1, 1]]
    (folder / 'class_means' / 'c--0.json').write_text(
        json.dumps(look | {'class_means': apart, 'mean': np.mean(apart, 0).tolist()})
    )
    setup['class_means'] = {'near-b': {'means': apart, 'images': [5, 5]}}
    setup['sources']['near-a']['signature'] = setup['sources']['near-b']['signature'] = [5, 5, 1, 1, 1, 1]
    (folder / 'setup.json').write_text(json.dumps(setup))
    scores = score_similarity(read_record(folder), 'emd')[2, 0]
    assert scores[3] == pytest.approx(1) and scores[2] == pytest.approx(-1)


def test_the_seed_that_was_not_run_whole_has_no_part_in_any_baseline(tmp_path):
    whole = read_record(write_evaluation(tmp_path / 'whole', left_out={('a', n, 1) for n in SOURCES}))
    partial = read_record(write_evaluation(tmp_path / 'partial', left_out={('a', 'near-a', 1)}))
    for one, other in zip(evaluate_baselines(whole), evaluate_baselines(partial), strict=True):
        assert other.by_target == pytest.approx(one.by_target), one.name


def test_the_sources_with_a_signature_cost_their_own_seconds_and_one_alone_is_no_comparison(record):
    known = select_with_signature(record)
    assert exhaustive_seconds(known).tolist() == pytest.approx([20.0] * 3)
    alone = dataclasses.replace(record.sources[3], signature=None)
    assert select_with_signature(dataclasses.replace(record, sources=(*record.sources[:3], alone))) is None
