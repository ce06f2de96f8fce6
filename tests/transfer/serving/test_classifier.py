"""A sealed model answers as it did in training, without torch, from a cache that stays within its limit."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from tests.support import sealed_classifier
from transfer.serving.classifier import Predictor
from transfer.serving.model_cache import ModelCache
from transfer.spec.errors import CorruptArtifactError, IncompatibleArtifactError, UnreadableImageError


@pytest.fixture(scope='module')
def original(tmp_path_factory):
    folder = tmp_path_factory.mktemp('models') / 'colours'
    return folder, sealed_classifier.seal(folder)


@pytest.fixture
def folder(original, tmp_path):
    return Path(shutil.copytree(original[0], tmp_path / 'copy'))


def test_it_classifies_the_colours(folder):
    photos = [
        sealed_classifier.photo(label, 100 + seed) for label in sealed_classifier.LABELS for seed in range(4)
    ]
    found = sealed_classifier.classify(Predictor(folder), photos)
    assert [sealed_classifier.LABELS[index] for index in found.argmax(1)] == [
        label for label in sealed_classifier.LABELS for _ in range(4)
    ]
    np.testing.assert_allclose(found.sum(1), 1)


def test_scores_are_softened_by_the_temperature(folder):
    photo = [sealed_classifier.photo('red', 5)]
    change_meta(folder, temperature=1.0)
    cold = sealed_classifier.classify(Predictor(folder), photo)[0]
    change_meta(folder, temperature=4.0)
    flat = cold**0.25
    softened = sealed_classifier.classify(Predictor(folder), photo)[0]
    np.testing.assert_allclose(softened, flat / flat.sum(), rtol=1e-4)


def test_a_batch_gives_what_each_image_alone_gives(folder):
    predictor = Predictor(folder)
    photos = [sealed_classifier.photo(sealed_classifier.LABELS[seed % 3], 200 + seed) for seed in range(9)]
    alone = np.concatenate([sealed_classifier.classify(predictor, [photo]) for photo in photos])
    np.testing.assert_allclose(sealed_classifier.classify(predictor, photos), alone, atol=1e-3)


def test_torch_and_the_graph_answer_alike(folder):
    photos = [sealed_classifier.photo(label, 300) for label in sealed_classifier.LABELS]
    by_graph = sealed_classifier.classify(Predictor(folder), photos)
    change_engine(folder, name='torch')
    np.testing.assert_allclose(sealed_classifier.classify(Predictor(folder), photos), by_graph, atol=0.02)


def test_a_model_without_a_graph_is_served_by_torch(original, tmp_path):
    folder = Path(shutil.copytree(original[0], tmp_path / 'bare'))
    for name in ('graph.xml', 'graph.bin', 'model.onnx'):
        (folder / name).unlink()
    meta = json.loads((folder / 'meta.json').read_text())
    meta |= {
        'engine': {'name': 'torch', 'precision': 'float32'},
        'files': {'weights.safetensors': meta['files']['weights.safetensors']},
    }
    (folder / 'meta.json').write_text(json.dumps(meta))
    found = sealed_classifier.classify(Predictor(folder), [sealed_classifier.photo('green', 1)])
    assert sealed_classifier.LABELS[found[0].argmax()] == 'green'


def test_serving_does_not_import_torch(folder, tmp_path):
    (tmp_path / 'red.jpg').write_bytes(sealed_classifier.photo('red', 1))
    code = (
        'import sys; from pathlib import Path; from transfer.serving.classifier import Predictor;'
        'predictor = Predictor(Path(sys.argv[1])); pixels = predictor.decode(Path(sys.argv[2]).read_bytes());'
        'found = predictor.classify_pixels(pixels[None]);'
        'print(found[0].argmax(), "torch" in sys.modules)'
    )
    command = [sys.executable, '-c', code, str(folder), str(tmp_path / 'red.jpg')]
    assert subprocess.run(command, capture_output=True, text=True).stdout.split() == ['2', 'False']


def test_eight_threads_may_make_a_process_first_predictions(folder, tmp_path):
    """Where the first inference is made by two threads at once, the runtime's binding stops the process for
    good."""
    (tmp_path / 'red.jpg').write_bytes(sealed_classifier.photo('red', 1))
    code = (
        'import sys, threading; from concurrent.futures import ThreadPoolExecutor; from pathlib import Path;'
        'from transfer.serving.classifier import Predictor; predictor = Predictor(Path(sys.argv[1]));'
        'pixels = predictor.decode(Path(sys.argv[2]).read_bytes())[None]; barrier = threading.Barrier(8);'
        'ask = lambda _: barrier.wait() >= 0 and int(predictor.classify_pixels(pixels)[0].argmax());'
        'print(set(ThreadPoolExecutor(8).map(ask, range(8))))'
    )
    command = [sys.executable, '-c', code, str(folder), str(tmp_path / 'red.jpg')]
    assert subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip() == '{2}'


def test_models_may_come_and_go_in_any_thread(folder):
    """A model's end once left streams behind in the threads that had asked it; the next model of that thread
    crashed."""

    def life(turn: int) -> str:
        predictor = Predictor(folder, streams=1 + turn % 2)
        found = sealed_classifier.classify(predictor, [sealed_classifier.photo('green', 500 + turn)])
        return sealed_classifier.LABELS[found[0].argmax()]

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(life, range(24))) == {'green'}


def test_many_threads_get_the_answers_to_their_own_photos(folder):
    predictor = Predictor(folder)
    photos = [
        (label, sealed_classifier.photo(label, 400 + seed))
        for seed in range(20)
        for label in sealed_classifier.LABELS
    ]

    def ask(pair: tuple[str, bytes]) -> str:
        return sealed_classifier.LABELS[sealed_classifier.classify(predictor, [pair[1]])[0].argmax()]

    with ThreadPoolExecutor(8) as threads:
        found = list(threads.map(ask, photos))
    assert found == [label for label, _ in photos]


def test_a_file_that_is_no_image_is_refused(folder):
    with pytest.raises(UnreadableImageError):
        sealed_classifier.classify(Predictor(folder), [b'not an image'])


def test_damaged_weights_are_corrupt(folder):
    path = folder / 'graph.bin'
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)
    with pytest.raises(CorruptArtifactError, match=r'graph\.bin'):
        Predictor(folder)


def test_another_model_under_the_same_name_is_not_served(folder):
    with pytest.raises(CorruptArtifactError, match='not the one'):
        Predictor(folder, digest='0' * 64)


def test_weights_of_another_shape_are_corrupt(folder):
    change_engine(folder, name='torch')
    change_meta(folder, labels=['one', 'two'])
    with pytest.raises(CorruptArtifactError, match='do not fit'):
        Predictor(folder)


def test_an_architecture_of_the_future_is_incompatible(folder):
    change_engine(folder, name='torch')
    change_meta(folder, architecture='perceptron_9000')
    with pytest.raises(IncompatibleArtifactError, match='perceptron_9000'):
        Predictor(folder)


class Loaded:
    """Stands for a predictor: only its size counts for the cache."""

    def __init__(self, size: int) -> None:
        self.size = size


def test_the_least_recently_used_model_leaves_when_the_limit_is_passed():
    cache = ModelCache(25, lambda folder, digest: Loaded(10))
    cache.get_or_load(Path('a'), 'a')
    cache.get_or_load(Path('b'), 'b')
    cache.get_or_load(Path('a'), 'a')
    cache.get_or_load(Path('c'), 'c')
    assert ('a' in cache, 'b' in cache, 'c' in cache) == (True, False, True)
    assert cache.size == 20


def test_a_model_larger_than_the_limit_is_held_alone():
    cache = ModelCache(25, lambda folder, digest: Loaded(100 if digest == 'huge' else 10))
    cache.get_or_load(Path('a'), 'a')
    cache.get_or_load(Path('huge'), 'huge')
    assert ('a' in cache, 'huge' in cache) == (False, True)
    cache.get_or_load(Path('a'), 'a')
    assert ('a' in cache, 'huge' in cache) == (True, False)


def test_a_model_is_loaded_once_however_many_ask_for_it():
    loads, gate = [], threading.Event()

    def load(folder, digest):
        loads.append(digest)
        assert gate.wait(20)
        return Loaded(1)

    cache = ModelCache(100, load)
    with ThreadPoolExecutor(8) as threads:
        futures = [threads.submit(cache.get_or_load, Path('a'), 'a') for _ in range(8)]
        gate.set()
        assert len({id(future.result()) for future in futures}) == 1
    assert loads == ['a']


def test_another_model_can_be_had_while_one_is_loading():
    gate, started = threading.Event(), threading.Event()

    def load(folder, digest):
        if digest == 'slow':
            started.set()
            assert gate.wait(20)
        return Loaded(1)

    cache = ModelCache(100, load)
    with ThreadPoolExecutor(1) as threads:
        slow = threads.submit(cache.get_or_load, Path('slow'), 'slow')
        assert started.wait(20)
        assert cache.get_or_load(Path('quick'), 'quick').size == 1
        gate.set()
        assert slow.result().size == 1


def test_a_failed_load_raises_and_is_tried_again():
    answers = [CorruptArtifactError('broken'), Loaded(1)]

    def load(folder, digest):
        answer = answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    cache = ModelCache(100, load)
    with pytest.raises(CorruptArtifactError):
        cache.get_or_load(Path('a'), 'a')
    assert cache.get_or_load(Path('a'), 'a').size == 1


def change_meta(folder: Path, **values) -> None:
    path = folder / 'meta.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **values}))


def change_engine(folder: Path, **values) -> None:
    change_meta(folder, engine={**json.loads((folder / 'meta.json').read_text())['engine'], **values})
