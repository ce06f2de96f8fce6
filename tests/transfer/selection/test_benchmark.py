"""Every source finetuned on every target: cells, going on after an interruption, and refusals."""

from __future__ import annotations

import dataclasses
import fcntl
import hashlib
import json
import shutil

import numpy as np
import pytest
import torch

from p2l.transferability import leep
from tests.support.small_training import TINTS, source, write_photos
from transfer.data.cache import open_pixels
from transfer.data.manifests import LabelledImage, Manifest
from transfer.features.network import Machine
from transfer.runtime.softmax import softmax
from transfer.selection.benchmark.cell import predict_scores
from transfer.selection.benchmark.matrix import fill_matrix
from transfer.selection.benchmark.targets import read_targets, split_target, take_rows
from transfer.spec.errors import TrainingError
from transfer.spec.train_spec import SourceModelSpec
from transfer.worker import tasks
from transfer.zoo.loading import load


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def write_target(folder, per_class=9, tints=TINTS):
    """Photos in class folders."""
    manifest = write_photos(folder.parent.parent / 'aside', per_class, tints)
    for image in manifest.images:
        home = folder / manifest.labels[image.label]
        home.mkdir(parents=True, exist_ok=True)
        shutil.move(image.path, home / image.name)
    return folder


@pytest.fixture
def request_of(tmp_path):
    """A request for one target and two tiny sources."""
    write_target(tmp_path / 'targets' / 'tints')
    source_models = [source(tmp_path / 'zoo', name, seed=seed) for seed, name in enumerate(('one', 'two'))]
    return {
        'targets': str(tmp_path / 'targets'),
        'out': str(tmp_path / 'out'),
        'cache': str(tmp_path / 'cache'),
        'sources': [dataclasses.asdict(source_model) for source_model in source_models],
        'reference': dataclasses.asdict(source_models[0]),
        'setup': {'per_class': 4, 'seeds': 1, 'side': 0, 'plan': 'several', 'scale': 1.0, 'device': 'cpu'},
    }


def cells(tmp_path):
    return {
        path.name: json.loads(path.read_text())
        for path in sorted((tmp_path / 'out' / 'cells').glob('*.json'))
    }


def test_a_cell_holds_the_accuracy_on_held_out_photos_and_what_was_known_before(request_of, tmp_path):
    steps = list(fill_matrix(request_of))
    assert [step.done for step in steps] == [1, 2]
    found = cells(tmp_path)
    assert list(found) == ['tints--one--0.json', 'tints--two--0.json']
    cell = found['tints--one--0.json']
    assert (cell['train_images'], cell['test_images'], cell['classes']) == (12, 15, 3)
    assert cell['accuracy'] == cell['correct'].count('1') / 15
    assert len(cell['probe_correct']) == 12
    assert 0 <= cell['knn'] <= 1
    assert cell['leep'] < 0
    assert set(cell['seconds']) == {
        'load',
        'test_features',
        'features',
        'probe',
        'logme',
        'knn',
        'leep',
        'count',
        'finetune',
        'evaluate',
    }
    assert cell['macs'] > 0


def test_the_accuracy_is_of_the_finetuned_network_and_that_of_the_linear_head_stands_beside_it(
    request_of, tmp_path
):
    request_of['setup']['scale'] = 300.0  # rates that ruin the network
    list(fill_matrix(request_of | {'most': 1}))
    (cell,) = cells(tmp_path).values()
    assert cell['linear'] > 0.9
    assert cell['accuracy'] == cell['correct'].count('1') / 15 < 0.7


def test_leep_is_of_the_probabilities_that_the_source_itself_gives(request_of, tmp_path):
    list(fill_matrix(request_of | {'most': 1}))
    (cell,) = cells(tmp_path).values()
    source_model = SourceModelSpec(**request_of['sources'][0])
    (target,) = read_targets(tmp_path / 'targets')
    learned = take_rows(target.manifest, split_target(target.manifest, 4, 0).train)
    pixels = open_pixels(learned, 32, tmp_path / 'pixels', lambda done: None)
    machine = Machine(torch.device('cpu'), 'float32', tmp_path, lambda note: None, lambda done: None)
    scores = predict_scores(load(source_model), source_model, pixels, machine)
    labels = np.array([image.label for image in learned.images])
    assert cell['leep'] == pytest.approx(leep(softmax(scores), labels))


def test_what_the_reference_sees_is_kept_for_each_target_and_seed(request_of, tmp_path):
    list(fill_matrix(request_of))
    look = json.loads((tmp_path / 'out' / 'class_means' / 'tints--0.json').read_text())
    assert look['class_images'] == [4, 4, 4]
    np.testing.assert_allclose(np.mean(look['class_means'], 0), look['mean'], atol=1e-5)
    assert len({tuple(mean) for mean in look['class_means']}) == 3


def test_a_run_that_was_broken_off_goes_on_where_it_was(request_of, tmp_path):
    steps = fill_matrix(request_of)
    next(steps)
    steps.close()
    first = cells(tmp_path)
    assert len(first) == 1
    steps = list(fill_matrix(request_of))
    assert steps[0].seconds_left is None
    assert cells(tmp_path) | first == cells(tmp_path)
    assert len(cells(tmp_path)) == 2


def test_the_same_cell_comes_out_the_same(request_of, tmp_path):
    list(fill_matrix(request_of))
    again = list(fill_matrix(request_of | {'out': str(tmp_path / 'again')}))
    path = tmp_path / 'again' / 'cells' / again[0].cell
    first, second = cells(tmp_path)[path.name], json.loads(path.read_text())
    assert {**first, 'seconds': 0} == {**second, 'seconds': 0}


def test_more_seeds_may_be_added_but_nothing_else_changed(request_of, tmp_path):
    list(fill_matrix(request_of))
    request_of['setup']['seeds'] = 2
    assert len(list(fill_matrix(request_of))) == 4
    request_of['setup'] |= {'seeds': 1, 'first_seed': 5}
    assert [step.cell for step in fill_matrix(request_of)] == [
        'tints--one--5.json',
        'tints--two--5.json',
    ]
    request_of['setup']['per_class'] = 3
    with pytest.raises(TrainingError, match='another setup'):
        list(fill_matrix(request_of))


def test_a_source_that_changed_under_its_name_is_refused(request_of):
    list(fill_matrix(request_of))
    request_of['sources'][1]['images'] = 5
    with pytest.raises(TrainingError, match='source two has changed'):
        list(fill_matrix(request_of))


def test_a_cell_that_somebody_else_is_at_is_left_to_them(request_of, tmp_path):
    locks = tmp_path / 'out' / 'cells' / 'locks'
    locks.mkdir(parents=True)
    with (locks / hashlib.sha256(b'tints--one--0.json').hexdigest()[:16]).open('w') as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        list(fill_matrix(request_of | {'most': 1}))
        assert list(cells(tmp_path)) == ['tints--two--0.json']
    steps = list(fill_matrix(request_of))  # whoever held it died: the cell is made after all
    assert [step.seconds_left is None for step in steps] == [False, True]
    assert len(cells(tmp_path)) == 2


def test_a_worker_fills_one_cell_and_sends_a_message_for_the_next_while_the_benchmark_runs(
    request_of, tmp_path, monkeypatch
):
    sent = []
    monkeypatch.setattr(
        'recognition.celery.app.send_task', lambda name, arguments, queue: sent.append((name, arguments))
    )
    file = tmp_path / 'out' / 'request.json'
    file.parent.mkdir()
    file.write_text(json.dumps(request_of))
    tasks.run_benchmark_cell(str(file))
    assert len(cells(tmp_path)) == 1
    assert sent == [('graft.run_benchmark_cell', (str(file),))]
    file.unlink()
    tasks.run_benchmark_cell(str(file))
    assert len(cells(tmp_path)) == 1


def test_copies_of_a_photo_are_left_out_and_one_in_two_classes_altogether(tmp_path):
    folder = write_target(tmp_path / 'targets' / 'tints')
    shutil.copy(folder / 'red' / '2-0.jpg', folder / 'red' / 'copy.jpg')
    shutil.copy(folder / 'blue' / '0-0.jpg', folder / 'green' / 'copy.jpg')
    (found,) = read_targets(tmp_path / 'targets')
    labels = [image.label for image in found.manifest.images]
    assert [labels.count(label) for label in range(3)] == [8, 9, 9]


@pytest.mark.parametrize(('per_class', 'words'), [(2, 'a class needs 6'), (0, 'holds no folder')])
def test_a_folder_that_is_no_target_is_named(tmp_path, per_class, words):
    (tmp_path / 'targets').mkdir()
    if per_class:
        write_target(tmp_path / 'targets' / 'tints', per_class)
    with pytest.raises(TrainingError, match=words):
        read_targets(tmp_path / 'targets')


def test_one_class_is_no_target(tmp_path):
    write_target(tmp_path / 'targets' / 'tints', tints={'red': (150, 90, 90)})
    with pytest.raises(TrainingError, match='two or more classes'):
        read_targets(tmp_path / 'targets')


def test_a_split_draws_so_many_of_each_class_and_leaves_a_third_to_judge_by():
    images = [
        LabelledImage('', label, f'{label} {index}', '')
        for label, count in enumerate((30, 9))
        for index in range(count)
    ]
    manifest = Manifest(('a', 'b'), tuple(images))
    found = split_target(manifest, 10, seed=0)
    learned = take_rows(manifest, found.train)
    assert [sum(image.label == label for image in learned.images) for label in (0, 1)] == [10, 6]
    assert sorted([*found.train, *found.test]) == list(range(39))
    assert split_target(manifest, 10, seed=1).train.tolist() != found.train.tolist()
    assert split_target(manifest, 10, seed=0).train.tolist() == found.train.tolist()
