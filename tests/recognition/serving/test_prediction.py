"""A trained model answers for photos, and refuses in words what it cannot answer."""

from __future__ import annotations

import io
import threading
from pathlib import Path

import pytest
from PIL import Image as Picture

from recognition import storage
from recognition.errors import (
    InvalidImageError,
    InvalidInputError,
    ModelOverloadedError,
    ModelUnavailableError,
    TooLargeError,
)
from recognition.models import TrainedModel
from recognition.serving import prediction
from tests.support import sealed_classifier
from transfer.serving.classifier import Predictor

pytestmark = pytest.mark.usefixtures('empty_model_cache')


@pytest.fixture(scope='module')
def artifact(tmp_path_factory):
    return sealed_classifier.seal(tmp_path_factory.mktemp('models') / 'colours')


@pytest.fixture
def model(project, artifact):
    storage.publish_artifact(Path(artifact.folder), 'colours')
    return TrainedModel.objects.create(
        project=project,
        version=1,
        artifact='colours',
        digest=artifact.digest,
        labels=list(sealed_classifier.LABELS),
        images=30,
    )


def best(result):
    return [image.scores[0].label for image in result.images]


def test_the_best_class_comes_first_with_its_probability(model):
    photos = [sealed_classifier.photo(label, 50) for label in ('red', 'blue', 'green')]
    found = prediction.classify(model, photos)
    assert best(found) == ['red', 'blue', 'green']
    scores = [score.score for score in found.images[0].scores]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1)


def test_top_and_threshold_leave_out_the_rest(model):
    photo = sealed_classifier.photo('red', 51)
    assert len(prediction.classify(model, [photo], top=2).images[0].scores) == 2
    assert [score.label for score in prediction.classify(model, [photo], threshold=0.5).images[0].scores] == [
        'red'
    ]
    assert prediction.classify(model, [photo], threshold=1.0).images[0].scores == ()


@pytest.mark.parametrize(
    ('count', 'top', 'threshold', 'field'),
    [
        (0, None, 0, 'images'),
        (21, None, 0, 'images'),
        (1, 0, 0, 'top'),
        (1, None, 1.5, 'threshold'),
        (1, None, -1, 'threshold'),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(model, count, top, threshold, field):
    with pytest.raises(InvalidInputError) as refusal:
        prediction.classify(model, [sealed_classifier.photo('red')] * count, top, threshold)
    assert refusal.value.field == field


@pytest.mark.parametrize(
    ('data', 'error'),
    [
        (b'', InvalidImageError),
        (b'not an image', InvalidImageError),
        (b'<svg xmlns="http://www.w3.org/2000/svg"/>', InvalidImageError),
        (sealed_classifier.photo('red')[:500], InvalidImageError),
        (b'\xff\xd8\xff' + b'\0' * 64, InvalidImageError),
    ],
    ids=['empty', 'text', 'svg', 'cut short', 'a header only'],
)
def test_a_bad_image_is_named_by_its_place(model, data, error):
    with pytest.raises(error) as refusal:
        prediction.classify(model, [sealed_classifier.photo('red'), data])
    assert refusal.value.field == 'images[1]'
    assert refusal.value.message.startswith('images[1] ')


def test_a_file_beyond_the_limit_is_too_large(model, settings):
    settings.MAX_IMAGE_BYTES = 300
    with pytest.raises(TooLargeError):
        prediction.classify(model, [sealed_classifier.photo('red')])


def test_a_bomb_is_refused_by_its_header(model, settings):
    settings.MAX_IMAGE_PIXELS = 1000
    with pytest.raises(InvalidImageError, match='pixels'):
        prediction.classify(model, [sealed_classifier.photo('red')])


@pytest.mark.parametrize('mode', ['L', 'LA', 'P', 'RGBA', 'CMYK', 'I;16'])
def test_every_kind_of_picture_gets_an_answer(model, mode):
    picture = (
        Picture.new('L', (40, 40), 90).convert('I').convert('I;16')
        if mode == 'I;16'
        else Picture.new(mode, (40, 40))
    )
    buffer = io.BytesIO()
    picture.save(buffer, 'JPEG' if mode == 'CMYK' else 'PNG')
    assert len(prediction.classify(model, [buffer.getvalue()]).images[0].scores) == 3


def test_a_photo_is_turned_upright_before_it_is_seen(model, artifact):
    """The same scene, stored upright and stored on its side with an EXIF turn, gives the same square."""
    upright = Picture.new('RGB', (64, 48), (200, 40, 40))
    upright.paste((40, 40, 200), (0, 0, 64, 24))
    turned = upright.transpose(Picture.Transpose.ROTATE_90)
    exif = Picture.Exif()
    exif[0x0112] = 6
    plain, sideways = io.BytesIO(), io.BytesIO()
    upright.save(plain, 'JPEG', quality=100, subsampling=0)
    turned.save(sideways, 'JPEG', quality=100, subsampling=0, exif=exif)
    predictor = Predictor(Path(artifact.folder))
    difference = predictor.decode(plain.getvalue()).astype(int) - predictor.decode(
        sideways.getvalue()
    ).astype(int)
    assert abs(difference).mean() < 3
    one, other = prediction.classify(model, [plain.getvalue(), sideways.getvalue()]).images
    assert one.scores[0].label == other.scores[0].label


def test_a_missing_artifact_is_named_and_not_our_callers_fault(model):
    storage.delete_artifact('colours')
    with pytest.raises(ModelUnavailableError, match='Flowers v1') as refusal:
        prediction.classify(model, [sealed_classifier.photo('red')])
    assert (refusal.value.status, refusal.value.code) == (503, 'model_unavailable')


def test_a_damaged_artifact_is_unavailable(model):
    path = storage.artifact_folder('colours') / 'graph.bin'
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelUnavailableError, match=r'graph\.bin'):
        prediction.load_model(model)


def test_a_mended_artifact_answers_again(model, artifact):
    path = storage.artifact_folder('colours') / 'graph.bin'
    whole = path.read_bytes()
    path.write_bytes(whole[:-1])
    with pytest.raises(ModelUnavailableError):
        prediction.load_model(model)
    path.write_bytes(whole)
    assert best(prediction.classify(model, [sealed_classifier.photo('green', 52)])) == ['green']


def test_a_model_that_was_finished_after_its_row_was_read_is_served(model, artifact):
    """The finished model replaces the instant one under the same id, and the instant artifact is deleted."""
    stale = TrainedModel.objects.get(pk=model.pk)
    stale.artifact, stale.digest = 'instant', '0' * 64
    assert best(prediction.classify(stale, [sealed_classifier.photo('blue', 53)])) == ['blue']


def test_a_loaded_model_is_kept(model):
    prediction.load_model(model)
    storage.delete_artifact('colours')
    assert best(prediction.classify(model, [sealed_classifier.photo('red', 54)])) == ['red']


def test_too_many_requests_at_once_are_refused_with_retry_after(model):
    predictor = prediction._load_current(model)
    batches = predictor._batches
    computing, gate = threading.Event(), threading.Event()
    compute, batches._compute = (
        batches._compute,
        lambda images: computing.set() or (gate.wait(20) and compute(images)),
    )
    batches._free, batches._max_queued = 1, 0
    first = threading.Thread(
        target=sealed_classifier.classify, args=(predictor, [sealed_classifier.photo('red', 55)])
    )
    first.start()
    assert computing.wait(20)
    with pytest.raises(ModelOverloadedError) as refusal:
        prediction.classify(model, [sealed_classifier.photo('red', 56)])
    gate.set()
    first.join()
    assert (refusal.value.status, refusal.value.retryable) == (503, True)
