"""A finished model becomes a source: offered by an owner, approved by an administrator, seen by those
who may see it."""

from __future__ import annotations

import dataclasses
import json
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from django.conf import settings
from django.utils import timezone
from safetensors.torch import save_file

from recognition import storage
from recognition.datasets import projects
from recognition.errors import ConflictError, InvalidInputError, ModelUnavailableError, NotFoundError
from recognition.management import purge
from recognition.models import AuditEvent, Image, Job, Label, Project, SourceModel, TrainedModel
from recognition.training import reports
from recognition.training.start import start_training
from recognition.zoo import catalog, promotion, redaction
from recognition.zoo.promotion import PromotionTerms
from transfer.serving.artifacts import ArtifactMeta, EnsembleMember, Preprocessing, read_meta, write_meta
from transfer.spec.report import EngineInfo
from transfer.zoo.loading import load
from transfer.zoo.networks.multi_stage import build_classifier
from transfer.zoo.networks.registry import architecture

pytestmark = pytest.mark.django_db

SIGNATURE = [0.5, 0.25, 1.0]


def seal(project: Project, version: int = 1, name: str = 'lenet5', **fields) -> TrainedModel:
    """A finished model with an artifact that holds a network's weights, as a training leaves it."""
    network = architecture(name)
    torch.manual_seed(version)
    model = network.build(5)
    network.replace_head(model, 2)
    folder = storage.training_folder(project.pk) / f'sealed-{version}'
    folder.mkdir(parents=True)
    save_file(model.state_dict(), folder / 'weights.safetensors')
    preprocessing = Preprocessing(network.side, (0.4,) * 3, (0.3,) * 3)
    write_meta(folder, ArtifactMeta(('daisy', 'rose'), name, preprocessing, 1.0, EngineInfo()))
    artifact = f'{project.pk}/{version}'
    storage.publish_artifact(folder, artifact)
    report = {'signature': {'reference': 'ref', 'mean': SIGNATURE}}
    known = {
        'artifact': artifact,
        'digest': f'{version:064}',
        'labels': ['daisy', 'rose'],
        'images': 40,
        'report': report,
    }
    return TrainedModel.objects.create(project=project, version=version, **{**known, **fields})


def seal_ensemble(project: Project) -> TrainedModel:
    """As a training leaves two networks that answer together, the first with a head over several stages."""
    model = seal(project)
    folder = storage.artifact_folder(model.artifact)
    first = build_classifier(architecture('mobilenet_v3_small'), 2, 9)
    state = {f'members.0.{name}': values for name, values in first.state_dict().items()}
    second = build_classifier(architecture('lenet5'), 2)
    state |= {f'members.1.{name}': values for name, values in second.state_dict().items()}
    save_file(state, folder / 'weights.safetensors')
    members = tuple(
        EnsembleMember(name, name, (0.4,) * 3, (0.3,) * 3, 1.0, stages)
        for name, stages in (('mobilenet_v3_small', 9), ('lenet5', 0))
    )
    meta = read_meta(folder)
    write_meta(folder, dataclasses.replace(meta, architecture='mobilenet_v3_small', members=members))
    return model


def seal_detector(project: Project) -> TrainedModel:
    """As a detector's training leaves it: beside its own weights, which are no source's, its body under a
    linear head."""
    model = seal(project, task='detection')
    folder = storage.artifact_folder(model.artifact)
    network = architecture('lenet5')
    save_file(network.build(3).state_dict(), folder / 'source.safetensors')
    save_file({'body.stage1.0.weight': torch.zeros(1)}, folder / 'weights.safetensors')
    meta = read_meta(folder)
    write_meta(folder, meta)
    model.report |= {'detection': {'backbone': '', 'train_images': 28, 'final_train_images': 31}}
    model.save()
    return model


@pytest.fixture
def model(project):
    return seal(project)


def add(name: str, **fields) -> SourceModel:
    known = {
        'architecture': 'lenet5',
        'weights': '/nowhere',
        'digest': name,
        'size': 1,
        'mean': [0.5] * 3,
        'std': [0.2] * 3,
        'images': 9,
        'classes': 3,
        'origin': 'imported',
    }
    return SourceModel.objects.create(name=name, **{**known, **fields})


def made(model: TrainedModel, **fields) -> SourceModel:
    """The source that an offer made of it, approved; without the three seconds that examining its weights
    takes."""
    folder = Path(settings.ZOO_DIR)
    folder.mkdir(exist_ok=True)
    (folder / 'flowers.safetensors').write_bytes(b'')
    known = {
        'weights': str(folder / 'flowers.safetensors'),
        'origin': 'promoted',
        'model': model,
        'project': model.project,
    }
    return add('flowers', **{**known, 'approved_at': timezone.now(), **fields})


@pytest.fixture
def shared_source(model, alice):
    return made(model, shared_at=timezone.now(), shared_by=alice)


@pytest.fixture
def private_source(model):
    return made(model)


def names(user, project=None) -> list[str]:
    return [source.name for source in catalog.list_sources(user, project)]


class TestOffer:
    @pytest.mark.usefixtures('in_this_process')
    def test_it_carries_all_that_a_source_needs_and_is_signed_already(self, model, alice):
        # a name that nobody chose gives way: to refuse it would tell of a source that she may not see
        add('flowers-v1')
        row = promotion.submit(
            model, PromotionTerms(share=True, title='Flowers', domain='plants', licence='ours'), alice
        )
        assert (row.name, row.title, row.domain, row.licence) == (
            'flowers-v1-000000',
            'Flowers',
            'plants',
            'ours',
        )
        assert (
            row.origin == 'promoted'
            and AuditEvent.objects.filter(action='submit source', user=alice).exists()
        )
        assert (row.class_names, row.classes, row.images, row.architecture) == (
            ['daisy', 'rose'],
            2,
            40,
            'lenet5',
        )
        assert (row.mean, row.std, row.side) == ([0.4] * 3, [0.3] * 3, 32)
        assert row.signatures == {'ref': SIGNATURE}
        assert (row.project, row.model, row.added_by, row.shared_by) == (model.project, model, alice, alice)
        assert 'Flowers' not in row.dataset  # the project's name is its members' alone
        catalog.approve(row.name)
        (source,) = catalog.list_sources(alice)
        assert load(source)(torch.zeros(1, 3, 32, 32)).shape == (1, 2)

    def test_nobody_starts_from_it_before_an_administrator_approves(
        self, model, alice, charlie, django_user_model
    ):
        made(model, approved_at=None)
        promotion.submit(model, PromotionTerms(share=True), alice)
        assert (names(alice), names(charlie)) == ([], [])
        root = django_user_model.objects.create_superuser('root', password='x')
        catalog.approve('flowers', root)
        assert (names(alice), names(charlie)) == (['flowers'], ['flowers'])
        actions = list(AuditEvent.objects.order_by('id').values_list('action', 'user__username'))
        assert actions == [('share source', 'alice'), ('approve source', 'root')]

    def test_offering_again_only_changes_the_consent(self, shared_source, model, alice, charlie):
        promotion.submit(model, PromotionTerms(share=False, name='other'), alice)
        assert SourceModel.objects.get().name == 'flowers'
        assert (names(alice), names(charlie)) == (['flowers'], [])
        promotion.submit(model, PromotionTerms(share=True), alice)
        assert names(charlie) == ['flowers']

    def test_withdrawn_it_is_gone_and_offered_anew_it_waits_again(self, shared_source, model, alice, charlie):
        weights = Path(shared_source.weights)
        TrainedModel.objects.create(
            project=model.project,
            version=9,
            artifact='x',
            digest='x',
            labels=['a'],
            images=3,
            source_name='flowers',
        )
        promotion.withdraw(model, alice)
        assert (names(alice), names(charlie), weights.exists()) == ([], [], True)  # a model's record names it
        with pytest.raises(NotFoundError):
            promotion.withdraw(model, alice)
        with pytest.raises(ConflictError, match='withdrawn by an owner'):
            catalog.restore('flowers')  # an administrator cannot undo that
        row = promotion.submit(model, PromotionTerms(share=False), alice)
        assert (row.status, row.shared_at, names(charlie)) == ('offered', None, [])

    def test_what_is_not_finished_or_cannot_be_a_source_is_refused_with_the_reason(self, project, alice):
        running = Job.objects.create(project=project)
        for fields, error, why in (
            ({'provisional': True}, ConflictError, 'not finished'),
            ({'job': running}, ConflictError, 'not finished'),
            ({'task': 'detection', 'report': {'detection': {}}}, InvalidInputError, 'train it again'),
            (
                {'task': 'detection', 'report': {'detection': {'backbone': 'its map is flat'}}},
                InvalidInputError,
                'its map is flat',
            ),
        ):
            model = TrainedModel(
                project=project, version=7, artifact='a', digest='d', labels=['a'], images=3, **fields
            )
            assert not promotion.is_possible(model)
            with pytest.raises(error, match=why):
                promotion.submit(model, PromotionTerms(share=True), alice)

    @pytest.mark.usefixtures('in_this_process')
    def test_of_a_detector_its_body_is_offered_under_a_head_that_knows_background(
        self, project, alice, charlie
    ):
        row = promotion.submit(seal_detector(project), PromotionTerms(share=False), alice)
        assert (row.class_names, row.classes, row.images) == (['daisy', 'rose', '(background)'], 3, 31)
        assert row.signatures == {'ref': SIGNATURE}
        catalog.approve(row.name)
        (source,) = catalog.list_sources(alice)
        assert load(source)(torch.zeros(1, 3, 32, 32)).shape == (1, 3)
        assert names(charlie) == []

    @pytest.mark.usefixtures('in_this_process')
    def test_of_several_networks_that_answer_together_the_chosen_sources_is_offered(self, project, alice):
        row = promotion.submit(seal_ensemble(project), PromotionTerms(share=False), alice)
        assert (row.architecture, row.class_names) == ('mobilenet_v3_small', ['daisy', 'rose'])
        catalog.approve(row.name)
        (source,) = catalog.list_sources(alice)
        assert load(source)(torch.zeros(2, 3, 64, 64)).shape == (2, 2)

    @pytest.mark.usefixtures('in_this_process')
    @pytest.mark.parametrize('damage', ['missing', 'weights', 'meta'])
    def test_a_damaged_artifact_is_named_and_nothing_is_kept(self, model, alice, damage, settings):
        folder = storage.artifact_folder(model.artifact)
        if damage == 'missing':
            storage.delete_artifact(model.artifact)
        else:
            (folder / ('weights.safetensors' if damage == 'weights' else 'meta.json')).write_bytes(b'{}')
        with pytest.raises(ModelUnavailableError):
            promotion.submit(model, PromotionTerms(share=True), alice)
        assert not SourceModel.objects.exists()
        assert not Path(settings.ZOO_DIR).exists() or not list(Path(settings.ZOO_DIR).iterdir())

    def test_a_name_that_is_taken_is_refused(self, model, alice):
        add('other')
        with pytest.raises(ConflictError) as refusal:
            promotion.submit(model, PromotionTerms(share=False, name='other'), alice)
        assert refusal.value.field == 'name'


def fill(project: Project) -> Project:
    """Enough labelled photos for a training."""
    for number in range(8):
        label, _ = Label.objects.get_or_create(project=project, name=('daisy', 'rose')[number % 2])
        Image.objects.create(
            project=project,
            label=label,
            name='x',
            digest=f'{number:064}',
            key='x',
            thumbnail_key='x',
            width=8,
            height=8,
            size=9,
        )
    return project


@pytest.fixture
def reference(settings, tmp_path):
    """What P2L compares with: a row is enough, nothing is trained here."""
    path = tmp_path / 'generic.safetensors'
    path.write_bytes(b'')
    settings.P2L_REFERENCE = 'graft-generic'
    return add('graft-generic', weights=str(path), digest='ref', origin='starter', approved_at=timezone.now())


class TestWhoSeesIt:
    """alice owns the project, bob is on her team, charlie is a stranger."""

    def test_without_the_owners_consent_only_members_see_it(self, private_source, alice, bob, charlie):
        assert (names(alice), names(bob), names(charlie), names(None)) == (['flowers'], ['flowers'], [], [])

    def test_with_both_consents_everyone_does(self, shared_source, alice, bob, charlie):
        assert (names(alice), names(bob), names(charlie)) == (['flowers'],) * 3

    def test_a_ranking_never_reveals_a_source_that_a_person_may_not_see(
        self, private_source, reference, bob, charlie
    ):
        for user, seen in ((bob, {'flowers', 'graft-generic'}), (charlie, {'graft-generic'})):
            project = fill(projects.create_project(user, 'Own'))
            spec = start_training(project, user, {}).spec
            assert {source['name'] for source in spec['sources']} == seen
            assert seen == {'flowers', 'graft-generic'} or 'flowers' not in json.dumps(spec)

    def test_one_that_may_not_be_seen_is_refused_as_if_it_did_not_exist(
        self, private_source, reference, charlie
    ):
        project = fill(projects.create_project(charlie, 'Own'))
        refusals = []
        for name in ('flowers', 'no-such'):
            with pytest.raises(InvalidInputError) as refusal:
                start_training(project, charlie, {'source': name})
            refusals.append(refusal.value.message.replace(name, ''))
        assert refusals[0] == refusals[1]

    def test_in_a_team_with_a_stranger_it_is_not_compared_for_he_reads_the_report(
        self, private_source, reference, alice, bob
    ):
        team = fill(projects.create_project(alice, 'Team'))
        projects.add_member(team, 'bob')
        assert names(alice, team) == ['flowers', 'graft-generic']
        django_user_model = type(alice)
        django_user_model.objects.create_user('eve', password='x')
        projects.add_member(team, 'eve', 'viewer')
        assert names(alice, team) == ['graft-generic']
        with pytest.raises(InvalidInputError, match='not every member of this project may see flowers'):
            start_training(team, alice, {'source': 'flowers'})

    def test_a_project_does_not_start_from_what_has_learned_from_its_own_photos(
        self, shared_source, reference, alice, charlie
    ):
        """Its figures would be measured on photos that the source knows."""
        own, copy = fill(shared_source.project), fill(projects.create_project(charlie, 'The same photos'))
        for user, project in ((alice, own), (charlie, copy)):
            assert names(user, project) == ['graft-generic']
            with pytest.raises(InvalidInputError, match='flowers was trained on photos of this project'):
                start_training(project, user, {'source': 'flowers'})
        assert names(charlie, projects.create_project(charlie, 'Other photos')) == [
            'flowers',
            'graft-generic',
        ]

    def test_who_joins_later_reads_no_name_that_he_may_not_see(self, private_source, alice, charlie, client):
        SourceModel.objects.update(title='Secret roses')
        other = projects.create_project(alice, 'Other')
        why = (
            'Secret roses (flowers) gave the best linear model; flowers-v2 did not. '
            'Secret roses, ready at once.'
        )
        probes = [{'name': 'flowers', 'accuracy': 0.9, 'interval': [0.8, 1.0]}]
        stored_report = {
            'why': why,
            'ranking': [{'name': 'flowers'}, {'name': 'graft-leaf'}],
            'probes': probes,
            'notes': ['flowers slept'],
        }
        model = TrainedModel.objects.create(
            project=other,
            version=1,
            artifact='a',
            digest='d',
            labels=['flowers', 'x'],
            images=9,
            source_name='flowers',
            report=stored_report,
        )
        assert reports.model_report(model)['ranking'][0]['name'] == 'flowers'
        projects.add_member(other, 'charlie', 'viewer')
        report = reports.model_report(model)
        assert (
            report['source']
            == report['ranking'][0]['name']
            == report['probes'][0]['name']
            == redaction.REDACTED_NAME
        )
        assert report['why'].startswith(
            'a source of another project gave the best linear model; flowers-v2 did not.'
        )
        assert report['labels'] == ['flowers', 'x']  # classes are the project's own
        client.force_login(charlie)
        for address in (f'/models/{model.pk}/', f'/projects/{other.pk}/', f'/api/v1/models/{model.pk}'):
            page = client.get(address).content.decode()
            assert 'Secret' not in page and 'a source of another project' in page

    def test_who_leaves_the_project_sees_it_no_more(self, private_source, model, alice, bob):
        projects.remove_member(model.project, 'bob')
        assert (names(bob), names(alice)) == ([], ['flowers'])
        projects.delete_project(model.project, alice)
        assert names(alice) == []

    @pytest.mark.parametrize('shared', [True, False])
    def test_a_purged_project_takes_along_what_was_not_shared(self, model, alice, charlie, shared):
        row = made(model, shared_at=timezone.now() if shared else None)
        projects.delete_project(model.project, alice)
        purge.purge(timedelta(0))
        assert names(charlie) == (['flowers'] if shared else [])
        assert Path(row.weights).exists() is shared
        assert SourceModel.objects.filter(project=None).exists() is shared

    def test_a_source_that_lost_its_project_is_open_to_nobody(self, private_source, alice, charlie):
        SourceModel.objects.update(project=None)
        assert (names(alice), names(charlie), names(None)) == ([], [], [])

    def test_lists_of_sources_show_only_what_may_be_seen(self, private_source, client, bob, charlie):
        for user, shown in ((bob, True), (charlie, False)):
            client.force_login(user)
            assert ('flowers' in client.get('/zoo/').content.decode()) is shown
            assert ('flowers' in client.get('/api/v1/source-models').content.decode()) is shown


class TestDoors:
    @pytest.mark.usefixtures('in_this_process')
    def test_the_owner_offers_shares_and_withdraws_on_the_models_page(self, client, project, alice):
        model = seal(project, 1, 'squeezenet1_1')  # whose new head is not the one of its family
        client.force_login(alice)
        page = f'/models/{model.pk}/'
        assert 'Submit as a source model' in client.get(page).content.decode()
        client.post(f'{page}promote/', {'name': 'flowers', 'title': 'Flowers', 'domain': '', 'licence': ''})
        text = client.get(page).content.decode()
        assert 'waiting for approval' in text and 'Share with everyone on this server' in text
        client.post(f'{page}promote/', {'share': 'on'})
        row = SourceModel.objects.get()
        assert (row.shared_by, row.architecture) == (alice, 'squeezenet1_1+linear')
        client.post(f'{page}withdraw/')
        assert 'Submit as a source model' in client.get(page).content.decode()
        assert not SourceModel.objects.exists()

    def test_a_member_sees_the_offer_but_cannot_make_it(self, client, model, alice, bob):
        client.force_login(bob)
        assert 'Submit as a source model' not in client.get(f'/models/{model.pk}/').content.decode()
        assert client.post(f'/models/{model.pk}/promote/', {}).status_code == 403
        made(model, approved_at=None)
        page = client.get(f'/models/{model.pk}/').content.decode()
        assert 'waiting for approval' in page and '>Withdraw<' not in page

    def test_the_same_over_rest(self, client, model, alice, bob):
        address = f'/api/v1/models/{model.pk}/promotion'
        client.force_login(alice)
        assert client.get(address).status_code == 404
        made(model, approved_at=None, signatures={'ref': SIGNATURE})
        answer = client.post(address, {'share': True}, content_type='application/json')
        expected = {'name': 'flowers', 'title': '', 'state': 'offered', 'shared': True, 'has_signature': True}
        assert (answer.status_code, answer.json()) == (200, expected)
        assert client.post(address, {'share': 'perhaps'}, content_type='application/json').status_code == 422
        assert client.post(address, {}, content_type='application/json').json()['field'] == 'share'
        client.force_login(bob)
        assert client.get(address).json() == expected
        assert client.post(address, {'share': False}, content_type='application/json').status_code == 403
        assert client.delete(address).status_code == 403
        client.force_login(alice)
        assert client.delete(address).status_code == 204
        assert client.delete(address).status_code == 404

    def test_an_administrator_sees_whose_it_is_and_whether_it_is_shared(
        self, client, model, alice, django_user_model
    ):
        made(model, approved_at=None)
        client.force_login(django_user_model.objects.create_superuser('root', password='x'))
        row = SourceModel.objects.get()
        page = client.get(f'/admin/recognition/sourcemodel/{row.pk}/change/').content.decode()
        assert 'only with the members of its project' in page
        client.post(f'/admin/recognition/sourcemodel/{row.pk}/approve/do/')
        assert names(alice) == ['flowers']
