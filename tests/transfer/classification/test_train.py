"""From labelled photos to a sealed model: the whole way, on small pictures and real files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.support import near_copies
from tests.support.small_training import RecordingReport, source, write_photos
from transfer.classification import portfolio
from transfer.data import near_duplicates
from transfer.data.manifests import Manifest
from transfer.features.calibration import fit_temperature
from transfer.features.metrics import format_percent
from transfer.pipeline import train
from transfer.runtime.progress import ProgressTracker
from transfer.runtime.softmax import softmax
from transfer.selection.context import TrainingContext
from transfer.serving.artifacts import read_meta
from transfer.serving.classifier import Predictor
from transfer.serving.torch_classifier import TorchEngine
from transfer.spec.errors import JobCancelledError, TrainingError, UnreadableImageError, UnusableSourceError
from transfer.spec.train_spec import TrainSpec
from transfer.zoo.signatures.compute import compute_signature

CLOSE = {'a': (118, 100, 100), 'b': (100, 118, 100)}  # tints near enough that a linear head makes mistakes


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def spec(tmp_path):
    source_model = source(tmp_path / 'zoo')
    return TrainSpec(
        sources=(source_model,),
        reference=source_model,
        precision='float32',
        epochs=3,
        plan='all',
        folds=3,
        crop=1.0,
        jitter=0.0,
    )


@pytest.fixture
def manifest(tmp_path):
    return write_photos(tmp_path / 'photos', 15, CLOSE)


def weights(folder: str) -> dict[str, torch.Tensor]:
    return load_file(Path(folder) / 'weights.safetensors')


def same_weights(a: str, b: str) -> bool:
    first, second = weights(a), weights(b)
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_a_training_ends_in_a_model_that_knows_the_photos(spec, tmp_path):
    manifest = write_photos(tmp_path / 'photos')
    recorder = RecordingReport()
    sealed = train(
        manifest, dataclasses.replace(spec, plan='auto'), tmp_path / 'work', recorder, tmp_path / 'cache'
    )
    predictor = Predictor(Path(sealed.folder))
    photos = [predictor.decode(Path(image.path).read_bytes()) for image in manifest.images]
    found = predictor.classify_pixels(np.stack(photos))
    assert (found.argmax(1) == [image.label for image in manifest.images]).mean() > 0.9
    assert sealed.report.accuracy > 0.9
    assert len(recorder.instants) == 1


def test_a_linear_head_without_a_mistake_is_not_finetuned(spec, tmp_path):
    manifest = write_photos(tmp_path / 'photos', 25, {'a': (200, 60, 60), 'b': (60, 200, 60)})
    automatic = dataclasses.replace(spec, plan='auto')
    report = train(manifest, automatic, tmp_path / 'work', RecordingReport(), tmp_path / 'cache').report
    assert report.accuracy == 1
    assert report.plan.name == 'last'
    assert report.why.endswith('It makes no mistakes: too few for finetuning.')
    assert report.curve == ()


def test_a_linear_model_is_sealed_as_the_instant_one_was_and_serves_calibrated_scores(
    spec, manifest, tmp_path
):
    ears = RecordingReport()
    linear = dataclasses.replace(spec, plan='linear')
    sealed = train(manifest, linear, tmp_path / 'work', ears, tmp_path / 'cache')
    (instant,) = ears.instants
    assert same_weights(instant.folder, sealed.folder)
    metas = [read_meta(Path(model.folder)) for model in (instant, sealed)]
    assert [meta.provisional for meta in metas] == [True, False]
    assert metas[1].temperature == sealed.report.calibration.temperature != 1
    assert sealed.report.engine.images == len(manifest.images)
    alone = dataclasses.replace(spec, instant_only=True)
    sealed = train(manifest, alone, tmp_path / 'alone', RecordingReport(), tmp_path / 'cache')
    assert not read_meta(Path(sealed.folder)).provisional


def test_a_finetuned_network_that_is_better_is_sealed_with_its_own_figures(spec, tmp_path):
    closer = {'a': (124, 118, 118), 'b': (118, 124, 118)}
    manifest = write_photos(tmp_path / 'photos', 30, closer)
    eager = dataclasses.replace(spec, epochs=12, batch=16, rates=dict.fromkeys(_groups(), 0.001))
    ears = RecordingReport()
    sealed = train(manifest, eager, tmp_path / 'work', ears, tmp_path / 'cache')
    report = sealed.report
    assert report.winner == 'finetuned'
    assert f' the finetuned network {format_percent(report.accuracy)}' in report.why
    assert report.accuracy > report.probes[0].accuracy
    assert not same_weights(ears.instants[0].folder, sealed.folder)


def write_copies(folder: Path, copies: int, shuffled: int = 0) -> Manifest:
    """24 photos under labels that mean nothing, each with so many cropped copies."""
    folder.mkdir()
    labels = np.random.default_rng(shuffled).permutation(24) % 2
    images = []
    for seed in range(24):
        scene = near_copies.draw_scene(seed)
        versions = [scene, *(near_copies.crop(scene, 0.02 * (copy + 1)) for copy in range(copies))]
        for place, photo in enumerate(versions):
            images.append(near_copies.write(photo, folder / f'{seed}-{place}.png', int(labels[seed])))
    return Manifest(('a', 'b'), tuple(images))


def test_copies_of_photos_do_not_flatter_the_accuracy(spec, tmp_path):
    """Labels without meaning cannot be predicted; with copies in other folds they were, by 90 %."""
    instant = dataclasses.replace(spec, instant_only=True)
    manifest = write_copies(tmp_path / 'photos', 2)
    report = train(manifest, instant, tmp_path / 'work', RecordingReport(), tmp_path / 'cache').report
    assert report.accuracy < 0.75
    assert (report.near_duplicates.images, report.near_duplicates.groups) == (72, 24)
    assert report.near_duplicates.contradictory == 0
    assert report.near_duplicates.pairs[0].first.id.startswith('row ')


def test_a_run_of_other_groups_is_not_continued(spec, manifest, tmp_path, monkeypatch):
    """Checkpoints of a fold that held out other images would have learned what they are tested on."""
    train(manifest, spec, tmp_path / 'work', RecordingReport(), tmp_path / 'cache')
    checkpoints = tmp_path / 'work' / 'checkpoints'
    before = {path.parent for path in checkpoints.rglob('*.safetensors')}
    monkeypatch.setattr(near_duplicates, 'HIGHEST_BAR', 0.05)  # now all photos are alike
    train(manifest, spec, tmp_path / 'work', RecordingReport(), tmp_path / 'cache')
    assert len({path.parent for path in checkpoints.rglob('*.safetensors')}) == len(before) + 1


def test_the_report_is_whole_and_plain_json(spec, manifest, tmp_path):
    report = train(manifest, spec, tmp_path / 'work', RecordingReport(), tmp_path / 'cache').report
    again = json.loads(json.dumps(report.to_json()))
    assert again['images'] == 30
    assert again['interval'][0] <= again['accuracy'] <= again['interval'][1]
    assert sum(map(sum, again['confusion'])) == 30
    assert [row['label'] for row in again['per_class']] == ['a', 'b']
    assert len(again['misclassified']) == round(30 * (1 - again['accuracy']))
    assert all(row['id'].startswith('row ') for row in again['misclassified'])
    assert again['winner'] in ('linear', 'finetuned')
    assert again['members'] == []
    assert 'images not seen in training' in again['why']
    assert again['calibration']['temperature'] > 0
    assert len(again['curve']) >= 1
    assert again['plan']['rates']['head'] > 0
    assert {'decode', 'reference', 'rank', 'instant', 'probe', 'finetune'} <= again['seconds'].keys()
    assert again['ranking'][0]['name'] == again['probes'][0]['name'] == 'tiny'
    assert again['data_digest'] == manifest.digest


def test_the_same_data_and_spec_give_the_same_model(spec, manifest, tmp_path):
    spec = dataclasses.replace(spec, rates={'head': 0.01})
    first, second = (
        train(manifest, spec, tmp_path / name, RecordingReport(), tmp_path / f'cache-{name}')
        for name in ('one', 'two')
    )
    assert same_weights(first.folder, second.folder)
    assert first.report.confusion == second.report.confusion
    assert first.report.calibration == second.report.calibration
    other = train(
        manifest,
        dataclasses.replace(spec, seed=1),
        tmp_path / 'three',
        RecordingReport(),
        tmp_path / 'cache-one',
    )
    assert not same_weights(first.folder, other.folder)


@pytest.mark.parametrize('share', [0.3, 0.6, 0.8, 0.95])
def test_a_killed_training_goes_on_and_ends_the_same(spec, manifest, tmp_path, share, monkeypatch):
    # every word is heard, so that it can break off anywhere
    monkeypatch.setattr('transfer.runtime.progress.REPORT_EVERY', 0.0)
    monkeypatch.setattr('transfer.finetune.trainer.SAVE_EVERY', 0.0)
    undisturbed = RecordingReport()
    whole = train(manifest, spec, tmp_path / 'whole', undisturbed, tmp_path / 'cache')
    broken = RecordingReport(raise_at=int(share * len(undisturbed.recorded)))
    with pytest.raises(InterruptedError):
        train(manifest, spec, tmp_path / 'broken', broken, tmp_path / 'cache-2')
    resumed = RecordingReport()
    end = train(manifest, spec, tmp_path / 'broken', resumed, tmp_path / 'cache-2')
    assert same_weights(whole.folder, end.folder)
    assert whole.report.confusion == end.report.confusion
    assert len(resumed.recorded) < len(undisturbed.recorded)


def test_progress_never_goes_back_and_ends_near_the_end(spec, manifest, tmp_path, monkeypatch):
    monkeypatch.setattr('transfer.runtime.progress.REPORT_EVERY', 0.0)
    recorder = RecordingReport()
    train(manifest, spec, tmp_path / 'work', recorder, tmp_path / 'cache')
    fractions = [progress.fraction for progress in recorder.recorded]
    assert fractions == sorted(fractions)
    assert fractions[-1] > 0.9
    assert [progress.seconds_left for progress in recorder.recorded if progress.phase == 'finetune'][
        -1
    ] is not None
    assert any(progress.epoch == 3 and progress.accuracy is not None for progress in recorder.recorded)


def test_cancelling_reaches_the_caller(spec, manifest, tmp_path):
    with pytest.raises(JobCancelledError):
        train(
            manifest,
            spec,
            tmp_path / 'work',
            RecordingReport(raise_at=4, error=JobCancelledError),
            tmp_path / 'cache',
        )


def test_only_the_instant_model_when_no_more_is_asked(spec, manifest, tmp_path):
    recorder = RecordingReport()
    sealed = train(
        manifest,
        dataclasses.replace(spec, instant_only=True),
        tmp_path / 'work',
        recorder,
        tmp_path / 'cache',
    )
    assert sealed.report.winner == 'linear'
    assert recorder.instants == []
    assert Predictor(Path(sealed.folder)).labels == ('a', 'b')


def test_finetuning_that_does_harm_is_thrown_away(spec, tmp_path):
    """At an absurd rate the network is ruined; the linear head stays, and the report says so."""
    manifest = write_photos(tmp_path / 'photos', 15, {'a': (140, 100, 100), 'b': (100, 120, 100)})
    ruinous = dataclasses.replace(spec, rates=dict.fromkeys(_groups(), 1.0))
    report = train(manifest, ruinous, tmp_path / 'work', RecordingReport(), tmp_path / 'cache').report
    assert report.winner == 'linear'
    assert 'Finetuning was given up: the finetuned network classified' in report.why
    assert report.why.endswith(' of 10 images correctly.')
    assert report.accuracy == report.probes[0].accuracy


def _groups() -> tuple[str, ...]:
    from transfer.zoo.networks.registry import architecture

    return architecture('lenet5').group_names


def test_memory_that_runs_out_halves_the_batch_and_says_so(spec, manifest, tmp_path, monkeypatch):
    backward, failed = torch.Tensor.backward, []

    def once(self: torch.Tensor, *args: object, **kwargs: object) -> None:
        if not failed:
            failed.append(True)
            raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')
        backward(self, *args, **kwargs)

    monkeypatch.setattr(torch.Tensor, 'backward', once)
    report = train(manifest, spec, tmp_path / 'work', RecordingReport(), tmp_path / 'cache').report
    assert failed
    assert any('halved' in note for note in report.notes)


def test_a_source_that_cannot_be_used_is_left_out_and_named(spec, manifest, tmp_path):
    broken = dataclasses.replace(source(tmp_path / 'zoo', 'broken', seed=9), images=10**9)
    Path(broken.weights).write_bytes(b'damaged')
    both = dataclasses.replace(spec, sources=(broken, *spec.sources), plan='linear')
    report = train(manifest, both, tmp_path / 'work', RecordingReport(), tmp_path / 'cache').report
    assert report.source == 'tiny'
    assert any('broken was left out' in note for note in report.notes)
    with pytest.raises(UnusableSourceError, match='broken'):
        train(
            manifest,
            dataclasses.replace(both, source='broken'),
            tmp_path / 'w2',
            RecordingReport(),
            tmp_path / 'cache',
        )


def test_the_user_may_choose_the_source(spec, manifest, tmp_path):
    other = source(tmp_path / 'zoo', 'other', seed=3)
    asked = dataclasses.replace(spec, sources=(*spec.sources, other), source='other', plan='linear')
    report = train(manifest, asked, tmp_path / 'work', RecordingReport(), tmp_path / 'cache').report
    assert report.source == 'other'
    assert {row.name for row in report.ranking} == {'tiny', 'other'}
    assert report.plan.source_why == 'other was asked for.'


def test_of_equally_good_networks_a_cpu_takes_the_lighter_one(spec, tmp_path):
    manifest = write_photos(tmp_path / 'photos')
    light = dataclasses.replace(
        source(tmp_path / 'zoo', 'light'), images=50_000, dataset='same', parameters=60_000
    )
    heavy = source(tmp_path / 'zoo', 'heavy', 'mobilenet_v3_small')
    heavy = dataclasses.replace(heavy, images=50_000, dataset='same', parameters=1_500_000)
    both = dataclasses.replace(spec, sources=(light, heavy), plan='linear')
    report = train(manifest, both, tmp_path / 'work', RecordingReport(), tmp_path / 'cache').report
    assert [row.name for row in report.ranking] == ['heavy', 'light']
    assert [row.accuracy for row in report.probes] == [1, 1]
    assert report.source == 'light'
    assert report.plan.source_why.startswith(
        'light is the lighter network, and its linear model (100.0 % out-of-fold) differs'
    )


def test_a_class_of_one_image_is_left_out_of_the_model(spec, manifest, tmp_path):
    lone = dataclasses.replace(manifest.images[0], label=2, digest='lone')
    wider = Manifest((*manifest.labels, 'lonely'), (*manifest.images, lone))
    report = train(
        wider,
        dataclasses.replace(spec, plan='linear'),
        tmp_path / 'work',
        RecordingReport(),
        tmp_path / 'cache',
    ).report
    assert report.labels == ('a', 'b')
    assert any('"lonely"' in note for note in report.notes)


def test_two_images_a_class_make_a_model(spec, tmp_path):
    manifest = write_photos(tmp_path / 'photos', 2)
    report = train(
        manifest,
        dataclasses.replace(spec, plan='auto'),
        tmp_path / 'work',
        RecordingReport(),
        tmp_path / 'cache',
    ).report
    assert report.images == 6
    assert np.isfinite(report.accuracy)


def test_what_cannot_be_trained_is_refused_in_a_sentence(spec, manifest, tmp_path):
    one = Manifest(('a', 'b'), tuple(image for image in manifest.images if image.label == 0))
    with pytest.raises(TrainingError, match='two classes'):
        train(one, spec, tmp_path / 'work', RecordingReport(), tmp_path / 'cache')
    with pytest.raises(TrainingError, match='no source model'):
        train(
            manifest,
            dataclasses.replace(spec, sources=()),
            tmp_path / 'work',
            RecordingReport(),
            tmp_path / 'cache',
        )
    Path(manifest.images[3].path).write_bytes(b'no photo')
    with pytest.raises(UnreadableImageError, match=Path(manifest.images[3].path).name):
        train(manifest, spec, tmp_path / 'work', RecordingReport(), tmp_path / 'cache')


def test_without_a_reference_the_sources_are_ranked_by_size(spec, manifest, tmp_path):
    bare = dataclasses.replace(spec, reference=None, plan='linear')
    report = train(manifest, bare, tmp_path / 'work', RecordingReport(), tmp_path / 'cache').report
    assert any('by size alone' in note for note in report.notes)


def test_a_worker_that_lacks_the_reference_ranks_by_size_too(spec, manifest, tmp_path):
    elsewhere = dataclasses.replace(spec.reference, weights=str(tmp_path / 'nowhere.safetensors'))
    signed = tuple(dataclasses.replace(source_model, signature=(1.0,) * 84) for source_model in spec.sources)
    bare = dataclasses.replace(spec, reference=elsewhere, sources=signed, plan='linear')
    report = train(manifest, bare, tmp_path / 'work', RecordingReport(), tmp_path / 'cache').report
    assert report.source == 'tiny'
    (note,) = [note for note in report.notes if 'reference' in note]
    assert 'cannot be used here' in note
    assert 'by size alone' in note


def test_a_small_batch_norm_network_is_finetuned_on_cached_activations(spec, manifest, tmp_path):
    source_model = source(tmp_path / 'zoo', 'mobile', 'mobilenet_v3_small', 32)
    fast = dataclasses.replace(spec, sources=(source_model,), reference=source_model, plan='last', epochs=1)
    report = train(manifest, fast, tmp_path / 'work', RecordingReport(), tmp_path / 'cache').report
    assert report.plan.cached_layers[0] == 'stage1'
    assert report.plan.rates['stage1'] == 0
    assert report.plan.folds == 3


def test_the_report_keeps_what_would_sign_this_model_as_a_source(spec, manifest, tmp_path):
    quick = dataclasses.replace(spec, instant_only=True)
    signature = train(
        manifest, quick, tmp_path / 'work', RecordingReport(), tmp_path / 'cache'
    ).report.signature
    assert signature.reference == spec.reference.digest
    signed = compute_signature(spec.reference, [Path(image.path) for image in manifest.images])
    np.testing.assert_allclose(signature.mean, signed.mean, atol=1e-4)


@pytest.mark.parametrize('divergence', ['js', 'emd'])
def test_likeness_is_measured_as_the_spec_says(spec, manifest, tmp_path, divergence):
    source_models = [
        dataclasses.replace(source_model, signature=(1.0 + place,) * 84)
        for place, source_model in enumerate(spec.sources * 2)
    ]
    spec = dataclasses.replace(
        spec, sources=tuple(source_models), divergence=divergence, weights=(1.0, 0.0), instant_only=True
    )
    report = train(manifest, spec, tmp_path / 'work', RecordingReport(), tmp_path / 'cache').report
    found = [item.divergence for item in report.ranking]
    assert found[0] <= found[1] + 1e-9
    # flat signatures are the same distribution, but lie at different distances
    assert (found[0] == pytest.approx(found[1])) == (divergence == 'js')


def probe_again(spec, manifest, folder):
    """The training's own probes of its sources, by name."""
    tracker = ProgressTracker(RecordingReport())
    context = TrainingContext(manifest, spec, torch.device('cpu'), folder, tracker)
    with tracker.phase('probe', ''):
        return {card.name: context.probe(card) for card in spec.sources}


def test_the_sealed_linear_model_has_learned_from_every_image(spec, manifest, tmp_path):
    linear = dataclasses.replace(spec, plan='linear')
    sealed = train(manifest, linear, tmp_path / 'work', RecordingReport(), tmp_path / 'cache')
    (probed,) = probe_again(linear, manifest, tmp_path / 'cache').values()
    meta = read_meta(Path(sealed.folder))
    logits = TorchEngine(Path(sealed.folder), meta, 'cpu').logits(np.array(probed.pixels.array))
    np.testing.assert_allclose(logits, probed.probe.head.logits(probed.features), atol=1e-3)


class TestEnsemble:
    """Several networks that answer together are one model."""

    @pytest.fixture
    def two(self, spec, tmp_path):
        other = source(tmp_path / 'zoo', 'other', 'mobilenet_v3_small', seed=3)
        other = dataclasses.replace(other, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
        return dataclasses.replace(spec, sources=(*spec.sources, other), plan='linear')

    @pytest.fixture
    def always(self, monkeypatch):
        """The dearest candidate is served whatever it is worth: these networks know next to nothing."""
        monkeypatch.setattr(portfolio, 'STANDARD_ERRORS', -1e9)

    def test_it_answers_with_the_calibrated_mean_of_its_members(self, two, manifest, tmp_path, always):
        sealed = train(manifest, two, tmp_path / 'work', RecordingReport(), tmp_path / 'cache')
        assert sealed.report.winner == 'ensemble'
        assert sorted(sealed.report.members) == ['other', 'tiny']
        predictor = Predictor(Path(sealed.folder))
        assert [member.source for member in predictor.meta.members] == list(sealed.report.members)
        assert {member.stage_features > 0 for member in predictor.meta.members} == {True, False}
        probes = probe_again(two, manifest, tmp_path / 'cache')
        labels = np.array([image.label for image in manifest.images])
        for member in predictor.meta.members:
            temperature = fit_temperature(probes[member.source].probe.logits, labels)
            assert member.temperature == pytest.approx(temperature)
        pixels = np.stack([predictor.decode(Path(image.path).read_bytes()) for image in manifest.images])
        by_graph = predictor.classify_pixels(pixels)
        assert sealed.report.engine.name == 'openvino'
        assert sealed.report.engine.largest_difference < 0.01
        by_torch = TorchEngine(Path(sealed.folder), predictor.meta, 'cpu')
        logits = by_torch.logits(pixels)
        np.testing.assert_allclose(softmax(logits, predictor.meta.temperature), by_graph, atol=0.01)

    def test_a_finetuned_network_answers_with_the_frozen_ones(self, two, tmp_path, always):
        closer = {'a': (124, 118, 118), 'b': (118, 124, 118)}
        manifest = write_photos(tmp_path / 'photos', 30, closer)
        sources = (two.sources[0], source(tmp_path / 'zoo', 'second', seed=5))
        rates = dict.fromkeys(_groups(), 0.001)
        spec = dataclasses.replace(two, plan='all', sources=sources, rates=rates, epochs=12, batch=16)
        sealed = train(manifest, spec, tmp_path / 'work', RecordingReport(), tmp_path / 'cache')
        assert sealed.report.winner == 'finetuned ensemble'
        first, second = Predictor(Path(sealed.folder)).meta.members
        assert first.stage_features == 0  # the finetuned network has a head over its last stage
        assert (first.source, second.source) == tuple(sealed.report.members)

    def test_after_a_finetuning_that_does_harm_the_sentence_names_what_is_served(
        self, two, manifest, tmp_path, always
    ):
        sources = (two.sources[0], source(tmp_path / 'zoo', 'second', seed=5))
        ruinous = dict.fromkeys(_groups(), 1.0)
        spec = dataclasses.replace(two, plan='all', sources=sources, rates=ruinous)
        report = train(manifest, spec, tmp_path / 'work', RecordingReport(), tmp_path / 'cache').report
        assert report.winner == 'ensemble'
        assert 'Of 30 images not seen in training' in report.why
        assert 'Kept: linear heads of 2 networks together' in report.why
        assert ' Finetuning was given up: ' in report.why

    def test_who_wants_fast_answers_gets_one_network(self, two, manifest, tmp_path, always):
        spec = dataclasses.replace(two, prefer='fast')
        sealed = train(manifest, spec, tmp_path / 'work', RecordingReport(), tmp_path / 'cache')
        assert (sealed.report.winner, sealed.report.members) == ('linear', ())

    def test_sources_of_another_side_do_not_join(self, two, manifest, tmp_path, always):
        first, other = two.sources
        spec = dataclasses.replace(two, sources=(first, dataclasses.replace(other, side=48)))
        sealed = train(manifest, spec, tmp_path / 'work', RecordingReport(), tmp_path / 'cache')
        assert sealed.report.members == ()
