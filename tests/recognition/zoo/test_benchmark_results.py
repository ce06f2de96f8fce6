from __future__ import annotations

import json
import shutil

import pytest
from django.core.checks import run_checks
from django.core.management import CommandError, call_command

from recognition.errors import InvalidInputError
from recognition.zoo import benchmark_results, selection_params
from tests.support.benchmark_records import copy_target, write_evaluation
from tests.support.photos import draw_photo
from tests.support.weights_files import write_starter_model
from transfer.spec.records import from_json, to_json
from transfer.spec.train_spec import TrainSpec

pytestmark = pytest.mark.django_db
TINTS = {'blue': (40, 40, 200), 'red': (200, 40, 40)}


@pytest.fixture
def recorded(tmp_path):
    return write_evaluation(tmp_path / 'recorded')


@pytest.fixture
def unlearned(settings, tmp_path):
    """An installation to which nothing was shipped."""
    settings.SHIPPED_SELECTION_PARAMS = tmp_path / 'none.json'


def test_a_conclusion_is_kept_beside_the_cells_and_for_the_administrators_page(recorded):
    result = benchmark_results.compare_rules(recorded)
    written = json.loads((recorded / 'result.json').read_text())
    assert from_json(selection_params.BenchmarkResult, written) == result
    assert selection_params.read_latest_result() == result
    assert [target.name for target in result.targets] == ['a', 'b', 'c']
    assert result.accuracy[0] == pytest.approx([0.805, 0.705, 0.855, 0.505])
    assert {rule.name for rule in result.rules} >= {'random', 'oracle', 'P2L 1.5 : 1', 'LEEP'}
    assert [gain.name for gain in result.ahead_of] == [
        'random',
        'largest source',
        'generic (huge)',
        'static (best elsewhere)',
    ]
    assert result.with_signature.sources == ('near-a', 'near-b')
    assert result.forecast is None  # three targets are too few to leave one out and learn from the others


def test_results_and_parameters_of_before_the_first_release_are_still_read(recorded, settings, unlearned):
    result = benchmark_results.compare_rules(recorded)
    values = to_json(result)
    for target in values['targets']:
        target |= {'images': target.pop('train_images'), 'held': target.pop('test_images')}
    for source in values['sources']:
        source['signed'] = source.pop('has_signature')
    values['signed'] = values.pop('with_signature')
    shutil.rmtree(selection_params.get_benchmark_folder())
    earlier = settings.DATA_DIR / 'evidence'
    earlier.mkdir()
    (earlier / 'result.json').write_text(json.dumps(values))
    (earlier / 'learned.json').write_text(json.dumps({'weights': [2, 1], 'forecast': {}, 'origin': 'x'}))
    assert selection_params.read_latest_result() == result
    assert selection_params.read_selection_params().weights == (2, 1)


def test_before_the_first_evaluation_there_is_no_result():
    assert selection_params.read_latest_result() is None


def test_a_folder_without_an_evaluation_is_refused(tmp_path):
    with pytest.raises(InvalidInputError, match='holds no evaluation'):
        benchmark_results.compare_rules(tmp_path)


def test_without_any_record_trainings_use_the_weights_of_the_publication(unlearned):
    assert selection_params.read_selection_params() == selection_params.SelectionParams(
        TrainSpec().weights, {}, 'no recorded accuracies yet'
    )


def test_what_ships_foretells_accuracies_from_the_evaluation_of_the_documentation():
    shipped = selection_params.read_selection_params()
    assert shipped.weights == TrainSpec().weights
    assert shipped.forecast['targets'] >= 6
    assert 'finetunings on 6 targets' in shipped.origin
    spec = TrainSpec.from_json(TrainSpec(weights=shipped.weights, forecaster=shipped.forecast).to_json())
    assert spec.forecaster == shipped.forecast


def test_what_was_fitted_counts_for_later_trainings(recorded, unlearned):
    for name in ('d', 'e'):
        copy_target(recorded, 'a', name)
    found = benchmark_results.fit_selection_params(recorded)
    kept = selection_params.read_selection_params()
    assert kept.weights == found.after
    assert kept.forecast['targets'] == 5
    assert 'on 5 targets (a, b, c, d, e)' in kept.origin


def test_too_few_targets_foretell_nothing_and_keep_nothing(recorded, unlearned):
    with pytest.raises(InvalidInputError, match='3 targets are recorded'):
        benchmark_results.fit_selection_params(recorded)
    assert not (selection_params.get_benchmark_folder() / 'selection_params.json').exists()


def test_weights_that_do_not_lower_the_regret_stay(recorded, unlearned, capsys):
    for name in ('d', 'e'):
        copy_target(recorded, 'a', name)
    found = benchmark_results.fit_selection_params(recorded, keep=recorded / 'selection_params.json')
    assert found.changed == (found.regret_after < found.regret_before - 1e-9)
    assert (found.after == found.before) or found.changed
    assert not (selection_params.get_benchmark_folder() / 'selection_params.json').exists()
    call_command('zoo', 'fit', str(recorded))
    assert 'Mean regret' in capsys.readouterr().out


def test_an_unknown_divergence_is_told_at_start(settings):
    settings.P2L_DIVERGENCE = 'euclid'
    assert 'graft.E003' in [message.id for message in run_checks()]


@pytest.fixture
def zoo_of_two(settings, tmp_path):
    settings.STARTER_ZOO = tmp_path / 'starter'
    settings.STARTER_ZOO.mkdir()
    for name in (settings.P2L_REFERENCE, 'graft-tiny'):
        write_starter_model(settings.STARTER_ZOO, name)
    call_command('zoo', 'sync')


@pytest.fixture
def targets(tmp_path):
    folder = tmp_path / 'targets' / 'tints'
    for label, tint in TINTS.items():
        (folder / label).mkdir(parents=True)
        for seed in range(6):
            (folder / label / f'{seed}.jpg').write_bytes(draw_photo(seed, tint=tint))
    return folder.parent


def test_zoo_evaluate_fills_the_matrix_and_prints_the_rules(zoo_of_two, targets, tmp_path, capsys):
    call_command('zoo', 'benchmark', str(targets), '--seeds', '1', '--threads', '1', '--device', 'cpu')
    output = capsys.readouterr()
    assert '2 of 2  tints--graft-tiny--0.json' in output.err
    assert 'oracle' in output.out
    assert '2 sources on 1 targets (seeds): tints (1)' in output.out
    assert selection_params.read_latest_result().sources[0].name == 'graft-generic'


@pytest.mark.parametrize(
    ('options', 'words'),
    [
        (['--sources', 'nobody'], 'no usable source model'),
        (['--seeds', '0'], 'at least 1'),
        (['--per-class', '0'], 'at least 1'),
        (['--processes', '0'], 'at least 1'),
        (['--side', '-1'], 'at least 0'),
    ],
)
def test_an_evaluation_that_makes_no_sense_is_refused(zoo_of_two, targets, options, words):
    with pytest.raises(CommandError, match=words):
        call_command('zoo', 'benchmark', str(targets), *options)


def test_targets_that_are_not_there_are_named(zoo_of_two, tmp_path):
    with pytest.raises(CommandError, match='There is no folder'):
        call_command('zoo', 'benchmark', str(tmp_path / 'nowhere'))
