"""Source models in the admin: importing one, the actions of its life, and what its row shows."""

from __future__ import annotations

from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone

from recognition.models import AuditEvent, Job, SourceModel, TrainedModel
from recognition.zoo import catalog, track_records
from tests.support.import_jobs import list_zoo_files, run_job
from tests.support.source_rows import add_row
from tests.support.weights_files import upload_weights
from transfer.zoo.networks.registry import architecture

pytestmark = pytest.mark.django_db

LIST = reverse('admin:recognition_sourcemodel_changelist')
ADD = reverse('admin:recognition_sourcemodel_add')


def said(answer) -> str:
    return answer.content.decode()


class TestAdding:
    @pytest.mark.usefixtures('in_this_process')
    def test_an_uploaded_file_becomes_a_source_with_what_was_said_of_it(self, keeper, settings):
        names = SimpleUploadedFile('names.txt', 'eins\r\nzwei\r\ndrei\r\n'.encode('utf-8-sig'))
        fields = {'title': 'Digits', 'licence': 'MIT', 'dataset': 'digits', 'domain': 'numbers', 'images': 60}
        keeper.post(ADD, {'file': upload_weights(), 'classes_file': names, **fields})
        run_job(Job.objects.get())
        row = SourceModel.objects.get()
        assert (row.name, row.architecture, row.classes) == ('lenet5_digits', 'lenet5', 3)
        assert row.class_names == ['eins', 'zwei', 'drei']
        assert (row.title, row.licence, row.dataset, row.domain, row.images) == (
            'Digits',
            'MIT',
            'digits',
            'numbers',
            60,
        )
        assert row.parameters == sum(p.numel() for p in architecture('lenet5').build(3).parameters())
        assert (row.added_by.username, row.status, catalog.list_sources(None)) == (
            'root',
            'offered',
            (),
        )  # approval was not ticked
        keeper.post(reverse('admin:recognition_sourcemodel_do', args=[row.pk, 'approve']))
        assert list_zoo_files(settings) == [Path(row.weights)]
        assert [source.name for source in catalog.list_sources(None)] == ['lenet5_digits']

    @pytest.mark.parametrize(
        ('fields', 'field', 'reason'),
        [
            ({'file': None}, 'file', 'required'),
            ({'file': SimpleUploadedFile('w.exe', b'MZ')}, 'file', 'must end in .safetensors'),
            ({'name': '../up'}, 'name', 'letters, digits'),
            ({'name': 'graft-mine'}, 'name', 'reserved for sources that ship'),
            ({'side': 8}, 'side', 'greater than or equal to 16'),
            ({'images': 0}, 'images', 'greater than or equal to 1'),
            ({'images': 2**31}, 'images', 'less than or equal to'),
            (
                {'classes_file': SimpleUploadedFile('c.json', b'{"a": 1}')},
                'classes_file',
                'c.json must hold a list',
            ),
            (
                {'classes_file': SimpleUploadedFile('c.json', b'[' * 100_000)},
                'classes_file',
                'c.json can be read neither',
            ),
            (
                {'classes_file': SimpleUploadedFile('c.txt', b'\xff\xfe\x00')},
                'classes_file',
                'c.txt can be read neither',
            ),
        ],
    )
    def test_what_is_wrong_is_told_beside_its_field_and_nothing_is_kept(
        self, keeper, settings, fields, field, reason
    ):
        sent = {'file': upload_weights(), 'images': 60, **fields}
        answer = keeper.post(ADD, {name: value for name, value in sent.items() if value is not None})
        assert answer.status_code == 422
        assert reason in ' '.join(answer.context['form'].errors[field])
        assert 'choose the file again' in said(answer)
        assert (list_zoo_files(settings), SourceModel.objects.count(), Job.objects.count()) == ([], 0, 0)

    def test_who_may_only_look_may_not_add(self, client, bob):
        bob.is_staff = True
        bob.save(update_fields=['is_staff'])
        bob.user_permissions.add(Permission.objects.get(codename='view_sourcemodel'))
        client.force_login(bob)
        assert client.get(ADD).status_code == 403
        assert client.post(ADD, {'file': upload_weights(), 'images': 60}).status_code == 403
        assert (
            client.post(
                reverse('admin:recognition_sourcemodel_do', args=[add_row('mine').pk, 'retire'])
            ).status_code
            == 403
        )
        assert SourceModel.objects.get().status == 'usable'


class TestLife:
    def do(self, client, row, action) -> str:
        return said(
            client.post(reverse('admin:recognition_sourcemodel_do', args=[row.pk, action]), follow=True)
        )

    def test_each_deed_is_kept_with_who_and_when(self, keeper, settings):
        row = add_row('mine', approved_at=None)
        assert 'was approved' in self.do(keeper, row, 'approve')
        assert 'was retired' in self.do(keeper, row, 'retire')
        row.refresh_from_db()
        assert (row.status, row.approved_by.username, row.retired_by.username) == (
            'retired',
            'root',
            'root',
        )
        assert 'was restored' in self.do(keeper, row, 'restore')
        row.refresh_from_db()
        assert (row.status, row.retired_at, row.retired_by) == ('usable', None, None)
        actions = ['approve source', 'retire source', 'restore source']
        assert list(AuditEvent.objects.order_by('id').values_list('action', 'subject', 'user__username')) == [
            (action, 'mine', 'root') for action in actions
        ]

    def test_a_removed_source_is_kept_as_long_as_a_models_record_names_it(self, keeper, project, tmp_path):
        file = tmp_path / 'mine.pth'
        file.write_bytes(b'weights')
        row = add_row('mine', weights=str(file))
        model = TrainedModel.objects.create(
            project=project, version=1, artifact='a', digest='d', labels=['a'], source_name='mine', images=9
        )
        self.do(keeper, row, 'remove')
        row.refresh_from_db()
        assert (row.status, row.removed_by.username, file.exists()) == ('removed', 'root', True)
        assert 'mine' not in [found.name for found in keeper.get(LIST).context['cl'].result_list]
        assert [found.name for found in keeper.get(LIST, {'state': 'removed'}).context['cl'].result_list] == [
            'mine'
        ]
        model.delete()
        assert catalog.delete_removed() == ('mine',)
        assert (SourceModel.objects.exists(), file.exists()) == (False, False)

    def test_only_what_can_be_done_is_offered(self, keeper):
        for row, actions in (
            (add_row('mine'), {'retire', 'remove'}),
            (add_row('two', approved_at=None), {'approve', 'remove'}),
        ):
            page = keeper.get(reverse('admin:recognition_sourcemodel_change', args=[row.pk]))
            assert set(page.context['actions']) == actions
        assert (
            keeper.get(reverse('admin:recognition_sourcemodel_do', args=[row.pk, 'approve'])).status_code
            == 405
        )
        assert (
            keeper.post(reverse('admin:recognition_sourcemodel_do', args=[row.pk, 'explode'])).status_code
            == 404
        )
        assert (
            keeper.post(reverse('admin:recognition_sourcemodel_do', args=[987, 'approve'])).status_code == 404
        )

    def test_deleting_the_model_that_named_it_lets_a_removed_source_go(
        self, project, alice, tmp_path, django_capture_on_commit_callbacks
    ):
        from recognition.serving import trained_models

        add_row('mine', removed_at=timezone.now(), weights=str(tmp_path / 'x.pth'))
        model = TrainedModel.objects.create(
            project=project, version=1, artifact='a', digest='d', labels=['a'], source_name='mine', images=9
        )
        assert catalog.delete_removed() == ()
        with django_capture_on_commit_callbacks(execute=True):
            trained_models.delete(model, alice)
        assert not SourceModel.objects.exists()


def report(probes: dict[str, float], first: str) -> dict:
    return {
        'ranking': [{'name': first}, {'name': 'other'}],
        'probes': [{'name': name, 'accuracy': accuracy} for name, accuracy in probes.items()],
    }


@pytest.fixture
def trainings(project):
    """Three finished trainings and a provisional one."""
    reports = [
        ('mine', report({'mine': 0.9, 'other': 0.8, 'third': 0.7}, 'mine')),
        ('mine', report({'mine': 0.9, 'other': 0.86}, 'other')),
        ('other', report({'other': 0.5}, 'other')),
        ('third', report({'mine': 0.1, 'third': 0.2}, 'third')),
    ]
    for version, (source, told) in enumerate(reports, 1):
        TrainedModel.objects.create(
            project=project,
            version=version,
            artifact='a',
            digest='d',
            labels=['a'],
            source_name=source,
            images=9,
            report=told,
            provisional=version == 4,
        )


class TestTrackRecord:
    def test_it_counts_recommendations_choices_and_the_distance_to_the_best_other(self, trainings):
        records = track_records.compute_track_records()
        mine, other = records['mine'], records['other']
        assert (mine.recommended, mine.chosen, mine.margin.n, mine.margin.best) == (1, 2, 2, 2)
        assert mine.margin.mean == pytest.approx(0.07)
        # mean 0.07, deviation 0.0424, t(1) = 12.706: half width 12.706 * 0.0424 / sqrt(2) = 0.381
        assert mine.margin.interval == pytest.approx((0.07 - 0.381, 0.07 + 0.381), abs=1e-3)
        assert (other.recommended, other.chosen, other.margin.n, other.margin.best) == (2, 1, 2, 0)
        assert records['third'].margin.interval is None

    def test_the_list_shows_it_in_a_fixed_number_of_queries(
        self, keeper, trainings, django_assert_max_num_queries
    ):
        for number in range(12):
            add_row(f'source-{number}')
        add_row('mine')
        with django_assert_max_num_queries(15):
            page = said(keeper.get(LIST))
        assert 'best in 2 of 2' in page and '+7.0 points (-31.1 to +45.1)' in page
        assert 'used in 2' in page and 'ranked first in 1' in page

    def test_a_report_without_these_parts_does_no_harm(self, project):
        TrainedModel.objects.create(
            project=project, version=1, artifact='a', digest='d', labels=['a'], images=9, report={}
        )
        assert track_records.compute_track_records()[''].chosen == 1


class TestList:
    def test_filters_and_search_find_a_source(self, keeper):
        add_row('oaks', domain='plants', class_names=['oak', 'elm'])
        add_row('cells', domain='cells', licence='CC0', origin='starter')
        add_row('new', approved_at=None)

        def found(**query) -> list[str]:
            return [row.name for row in keeper.get(LIST, query).context['cl'].result_list]

        assert found() == ['cells', 'new', 'oaks']
        assert found(q='elm') == ['oaks']
        assert found(q='CC0') == found(domain='cells') == found(origin__exact='starter') == ['cells']
        assert found(state='offered') == ['new']
        assert found(state='usable') == ['cells', 'oaks']

    def test_what_a_file_says_of_itself_is_shown_as_text(self, keeper):
        add_row('mine', title='<script>alert(1)</script>', licence='<b>', domain='<i>')
        page = said(keeper.get(LIST))
        assert '<script>alert' not in page and '&lt;script&gt;' in page


def test_a_source_stays_while_an_unfinished_training_may_choose_it(project):
    add_row('mine', removed_at=timezone.now())
    job = Job.objects.create(project=project)
    assert catalog.delete_removed() == ()
    job.cancel_queued()
    assert catalog.delete_removed() == ('mine',)
