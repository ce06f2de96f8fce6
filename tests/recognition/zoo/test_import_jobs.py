"""Adding a source by a job: the file is kept, examined apart by a worker, and becomes a source or is refused
with the reason."""

from __future__ import annotations

import io
import os
import zipfile
from datetime import timedelta
from pathlib import Path

import pytest
import torch
from django.core.files.uploadedfile import SimpleUploadedFile, TemporaryUploadedFile
from django.core.management import call_command
from django.utils import timezone

from recognition.errors import ConflictError, InvalidInputError, TooLargeError
from recognition.jobs import queue
from recognition.models import AuditEvent, Job, SourceModel
from recognition.models.job import State
from recognition.zoo import catalog, import_jobs, registration, subprocess_call
from tests.support.import_jobs import SLEEPER, list_zoo_files, metadata_of, refuse_job, run_job
from tests.support.weights_files import upload_weights
from transfer.spec.report import Progress
from transfer.worker import execute

pytestmark = pytest.mark.django_db


def end_long_ago(job: Job) -> None:
    Job.objects.filter(pk=job.pk).update(
        finished_at=timezone.now() - import_jobs.FILE_LIFETIME - timedelta(minutes=1)
    )


class Malice:
    def __reduce__(self):
        return (os.system, ('touch executed',))


class TestJob:
    @pytest.mark.usefixtures('in_this_process')
    def test_a_worker_of_the_answers_queue_makes_the_file_a_source(self, settings, alice):
        job = import_jobs.start_import(
            upload_weights(),
            metadata_of(title='Digits', class_names=('eins', 'zwei', 'drei'), approved=False),
            alice,
        )
        assert (job.kind, job.queue, job.state, job.project) == (
            'source_import',
            settings.SERVING_QUEUE,
            State.QUEUED,
            None,
        )
        assert (
            list_zoo_files(settings) == [import_jobs.get_weights_path(job)]
            and not SourceModel.objects.exists()
        )
        run_job(job)
        row = SourceModel.objects.get()
        assert (job.state, job.result, import_jobs.find_imported_source(job)) == (
            State.SUCCEEDED,
            {'source': row.pk},
            row,
        )
        assert (row.name, row.architecture, row.title, row.class_names) == (
            'lenet5_digits',
            'lenet5',
            'Digits',
            ['eins', 'zwei', 'drei'],
        )
        assert (row.added_by, row.status, AuditEvent.objects.get().user) == (alice, 'offered', alice)
        assert list_zoo_files(settings) == [Path(row.weights)]

    @pytest.mark.usefixtures('in_this_process')
    def test_what_is_sent_in_pieces_is_moved_and_not_read(self, settings, alice):
        upload = TemporaryUploadedFile('lenet5.pth', 'application/octet-stream', 0, None)
        upload.write(upload_weights().read())
        upload.size = upload.tell()
        upload.flush()
        there = Path(upload.temporary_file_path()).stat().st_ino
        job = import_jobs.start_import(upload, metadata_of(), alice)
        upload.close()
        assert import_jobs.get_weights_path(job).stat().st_ino == there
        assert run_job(job).state == State.SUCCEEDED

    @pytest.mark.usefixtures('in_this_process')
    @pytest.mark.parametrize(
        ('changes', 'reason'),
        [
            ({'x': Malice()}, 'lenet5_digits.pth is not a plain state_dict: it holds code'),
            (
                {'features.0.bias': torch.full((6,), float('nan'))},
                'NaN or infinite numbers in features.0.bias',
            ),
        ],
    )
    def test_an_unsound_file_is_refused_with_the_reason_and_nothing_is_registered(
        self, alice, changes, reason
    ):
        """The other kinds: tests/transfer/zoo/test_attacks_weights.py."""
        job = run_job(import_jobs.start_import(upload_weights(**changes), metadata_of(), alice))
        assert (job.state, job.result) == (State.FAILED, {'field': 'file'})
        assert reason in job.error_message
        assert not SourceModel.objects.exists() and not Path('executed').exists()

    @pytest.mark.usefixtures('in_this_process')
    def test_what_is_no_weights_file_at_all_is_refused_too(self, alice):
        job = run_job(
            import_jobs.start_import(
                SimpleUploadedFile('lenet5.pth', b'PK\x03\x04' + b'\xff' * 4000), metadata_of(), alice
            )
        )
        assert (job.state, job.result) == (State.FAILED, {'field': 'file'})
        assert not SourceModel.objects.exists()

    def test_a_bomb_meets_the_memory_limit_and_is_refused(self, alice, monkeypatch):
        monkeypatch.setattr(registration, 'BASE_MEMORY', 2**30)
        upload = upload_weights()
        bomb = io.BytesIO()
        with (
            zipfile.ZipFile(upload) as small,
            zipfile.ZipFile(bomb, 'w', zipfile.ZIP_DEFLATED, compresslevel=1) as file,
        ):
            for entry in small.infolist():
                with file.open(entry.filename, 'w', force_zip64=True) as part:
                    for _ in range(1200 if entry.filename.endswith('/data/0') else 0):
                        part.write(bytes(2**20))
                    part.write(small.read(entry))
        job = run_job(
            import_jobs.start_import(SimpleUploadedFile('lenet5.pth', bomb.getvalue()), metadata_of(), alice)
        )
        assert (job.state, job.result, SourceModel.objects.count()) == (State.FAILED, {'field': 'file'}, 0)

    @pytest.mark.usefixtures('in_this_process')
    @pytest.mark.parametrize(
        ('wrong', 'field', 'reason'),
        [
            ({'architecture': 'resnet18'}, 'architecture', 'They fit lenet5'),
            ({'side': 64}, 'side', 'takes images of 32 pixels only'),
            (
                {'class_names': ('a', 'b')},
                'classes',
                '2 class names were given, but the network has 3 classes',
            ),
        ],
    )
    def test_what_was_said_wrongly_is_blamed_on_its_field_and_the_file_is_kept(
        self, settings, alice, wrong, field, reason
    ):
        job = run_job(import_jobs.start_import(upload_weights(), metadata_of(**wrong), alice))
        assert (job.state, job.result['field']) == (State.FAILED, field)
        assert reason in job.error_message
        assert list_zoo_files(settings) == [import_jobs.get_weights_path(job)]

    @pytest.mark.usefixtures('in_this_process')
    def test_it_is_said_again_and_the_same_file_becomes_a_source(self, alice, bob):
        job = refuse_job(
            import_jobs.start_import(upload_weights(), metadata_of(architecture='resnet18'), alice)
        )
        kept = import_jobs.get_weights_path(job)
        import_jobs.retry_import(job, metadata_of(), bob)
        assert (job.state, job.error_message, job.result) == (State.QUEUED, '', {})
        run_job(job)
        row = SourceModel.objects.get()
        assert (job.state, row.architecture, row.weights, row.added_by) == (
            State.SUCCEEDED,
            'lenet5',
            str(kept),
            bob,
        )
        assert list(job.events.values_list('old', 'new')) == [
            ('queued', 'running'),
            ('running', 'failed'),
            ('failed', 'queued'),
            ('queued', 'running'),
            ('running', 'succeeded'),
        ]

    @pytest.mark.usefixtures('in_this_process')
    def test_a_copy_of_what_is_there_is_refused(self, alice):
        run_job(import_jobs.start_import(upload_weights(), metadata_of(), alice))
        job = run_job(import_jobs.start_import(upload_weights(), metadata_of(name='twin'), alice))
        assert (job.error_message, job.error_code) == (
            'lenet5_digits.pth is in the zoo already, as lenet5_digits.',
            'conflict',
        )

    @pytest.mark.usefixtures('in_this_process')
    def test_of_two_with_one_name_the_second_gets_the_conflict(self, settings, alice):
        first = import_jobs.start_import(upload_weights(), metadata_of(name='mine'), alice)
        with pytest.raises(ConflictError, match='called mine is being imported already') as refusal:
            import_jobs.start_import(upload_weights(seed=2), metadata_of(name='mine'), alice)
        assert refusal.value.field == 'name'
        second = import_jobs.start_import(upload_weights(seed=2), metadata_of(name='other'), alice)
        # both were sent in the same moment
        Job.objects.filter(pk=second.pk).update(spec=second.spec | {'name': 'mine'})
        second.refresh_from_db()
        assert run_job(first).state == State.SUCCEEDED
        assert (run_job(second).state, second.error_code, second.result) == (
            State.FAILED,
            'conflict',
            {'field': 'name'},
        )
        assert second.error_message == 'There is a source called mine already.'
        assert SourceModel.objects.count() == 1 and len(list_zoo_files(settings)) == 2

    @pytest.mark.parametrize(('name', 'size'), [('w.exe', 5), ('w.pth', 5 * 2**30)])
    def test_what_needs_no_reading_is_refused_at_once(self, settings, alice, name, size):
        upload = SimpleUploadedFile(name, b'x')
        upload.size = size
        with pytest.raises((InvalidInputError, TooLargeError)) as refusal:
            import_jobs.start_import(upload, metadata_of(), alice)
        assert refusal.value.field == 'file'
        assert (list_zoo_files(settings), Job.objects.count()) == ([], 0)

    def test_an_upload_that_breaks_off_on_its_way_into_the_zoo_leaves_nothing(self, settings, alice):
        upload = upload_weights()
        upload.chunks = lambda: iter([b'half', *(1 / 0 for _ in range(1))])
        with pytest.raises(ZeroDivisionError):
            import_jobs.start_import(upload, metadata_of(), alice)
        assert (list_zoo_files(settings), Job.objects.count()) == ([], 0)

    def test_the_process_that_inspects_reports_its_stages(self, alice):
        phases = []
        job = import_jobs.start_import(upload_weights(), metadata_of(), alice)
        assert queue.claim(job)
        execute.run_attempt(job, on_progress=lambda progress: phases.append(progress.phase))
        assert list(dict.fromkeys(phases)) == ['digest', 'read', 'fit', 'try']
        assert SourceModel.objects.get().architecture == 'lenet5'


class TestStopping:
    def test_a_running_one_ends_with_the_process_that_examines(self, settings, alice, monkeypatch):
        settings.BASE_DIR = settings.DATA_DIR
        (settings.DATA_DIR / 'sleeper.py').write_text(SLEEPER)
        real = subprocess_call.call
        monkeypatch.setattr(
            subprocess_call, 'call', lambda module, request, **options: real('sleeper', request, **options)
        )
        job = import_jobs.start_import(upload_weights(), metadata_of(), alice)

        def stop_at_reading(progress: Progress) -> None:
            if progress.phase == 'read' and not job.cancel_requested:
                queue.cancel(job, alice)

        assert queue.claim(job)
        execute.run_attempt(job, on_progress=stop_at_reading)
        job.refresh_from_db()
        assert job.state == State.CANCELLED and not SourceModel.objects.exists()
        assert not Path(f'/proc/{(settings.DATA_DIR / "pid").read_text()}').exists()
        assert list_zoo_files(settings) == [import_jobs.get_weights_path(job)]

    @pytest.mark.usefixtures('in_this_process')
    def test_a_waiting_one_is_withdrawn_and_its_file_kept(self, alice):
        job = import_jobs.start_import(upload_weights(), metadata_of(), alice)
        queue.cancel(job, alice)
        assert job.state == State.CANCELLED and import_jobs.get_weights_path(job).exists()
        import_jobs.retry_import(job, metadata_of(), alice)
        assert run_job(job).state == State.SUCCEEDED

    @pytest.mark.usefixtures('in_this_process')
    def test_only_what_has_ended_without_a_source_is_examined_again_or_discarded(self, alice):
        job = import_jobs.start_import(upload_weights(), metadata_of(), alice)
        for action in (
            lambda: import_jobs.discard_import(job, alice),
            lambda: import_jobs.retry_import(job, metadata_of(name='other'), alice),
        ):
            with pytest.raises(ConflictError):
                action()
        run_job(job)
        for action in (
            lambda: import_jobs.discard_import(job, alice),
            lambda: import_jobs.retry_import(job, metadata_of(name='other'), alice),
        ):
            with pytest.raises(ConflictError):
                action()
        assert import_jobs.get_weights_path(job).exists()


class TestKill:
    @pytest.mark.usefixtures('in_this_process')
    def test_the_next_attempt_examines_again_and_one_source_comes_of_it(self, settings, alice):
        job = import_jobs.start_import(upload_weights(), metadata_of(), alice)
        assert job.claim(f'{queue.processes.local_prefix()}4194305~1')  # a process that never was
        assert queue.requeue_dead() == (1, 0)
        job.refresh_from_db()
        assert job.state == State.QUEUED and import_jobs.get_weights_path(job).exists()
        assert run_job(job).attempt == 2
        assert list_zoo_files(settings) == [Path(SourceModel.objects.get().weights)]

    @pytest.mark.usefixtures('in_this_process')
    def test_who_lost_the_job_while_it_examined_registers_nothing(self, alice, monkeypatch):
        job = import_jobs.start_import(upload_weights(), metadata_of(), alice)
        real = subprocess_call.call

        def taken_back_meanwhile(module, request, **options):
            answer = real(
                module,
                request,
                on_progress=lambda progress: None,
                on_tick=lambda: None,
                seconds=options['seconds'],
            )
            assert Job.objects.get(pk=job.pk).requeue('its worker was thought dead')
            return answer

        monkeypatch.setattr(subprocess_call, 'call', taken_back_meanwhile)
        assert queue.claim(job)
        execute.run_attempt(job)
        job.refresh_from_db()
        assert (job.state, SourceModel.objects.count()) == (State.QUEUED, 0)
        monkeypatch.setattr(subprocess_call, 'call', real)
        assert run_job(job).state == State.SUCCEEDED

    def test_a_file_that_never_arrived_in_whole_is_found_by_its_row(self, settings, alice):
        job = import_jobs.start_import(upload_weights(), metadata_of(), alice)
        # where it was when the web process died
        Job.objects.filter(pk=job.pk).update(queue=queue.UPLOAD_QUEUE)
        assert import_jobs.delete_expired() == 0
        Job.objects.filter(pk=job.pk).update(created_at=timezone.now() - timedelta(days=2))
        assert import_jobs.delete_expired() == 1
        assert (list_zoo_files(settings), Job.objects.count()) == ([], 0)

    @pytest.mark.usefixtures('in_this_process')
    def test_what_was_stopped_on_its_way_in_reaches_a_worker_when_it_is_asked_for_again(
        self, settings, alice
    ):
        job = import_jobs.start_import(upload_weights(), metadata_of(), alice)
        Job.objects.filter(pk=job.pk).update(queue=queue.UPLOAD_QUEUE)
        job.refresh_from_db()
        queue.cancel(job, alice)
        import_jobs.retry_import(job, metadata_of(), alice)
        assert job.queue == settings.SERVING_QUEUE
        assert run_job(job).state == State.SUCCEEDED

    @pytest.mark.parametrize('discarded', [False, True])
    def test_one_that_was_stopped_while_its_file_came_is_not_begun(
        self, settings, alice, monkeypatch, discarded
    ):
        real = registration.store_upload

        def stopped_meanwhile(upload, file):
            real(upload, file)
            job = Job.objects.get()
            queue.cancel(job, alice)
            if discarded:
                import_jobs.discard_import(job, alice)

        monkeypatch.setattr(registration, 'store_upload', stopped_meanwhile)
        if discarded:
            with pytest.raises(ConflictError, match='discarded while its file was being sent'):
                import_jobs.start_import(upload_weights(), metadata_of(), alice)
            assert (list_zoo_files(settings), Job.objects.count()) == ([], 0)
        else:
            job = import_jobs.start_import(upload_weights(), metadata_of(), alice)
            assert (job.state, list_zoo_files(settings)) == (
                State.CANCELLED,
                [import_jobs.get_weights_path(job)],
            )

    def test_deaths_are_counted_from_the_last_time_that_it_was_asked_for(self, alice):
        job = import_jobs.start_import(upload_weights(), metadata_of(), alice)
        for asked in range(2):
            for death in range(4):
                assert job.claim(f'{queue.processes.local_prefix()}4194305~{asked}{death}')
                assert queue.requeue_dead() == ((0, 1) if death == 3 else (1, 0))
                job.refresh_from_db()
            assert (job.state, job.error_code) == (State.FAILED, 'worker_died')
            import_jobs.retry_import(job, metadata_of(), alice)

    def test_a_file_that_came_in_part_is_not_examined(self, alice):
        job = import_jobs.start_import(upload_weights(), metadata_of(), alice)
        queue.cancel(job, alice)
        os.truncate(import_jobs.get_weights_path(job), 1000)
        with pytest.raises(InvalidInputError, match='not stored in full'):
            import_jobs.retry_import(job, metadata_of(), alice)

    def test_a_kept_file_that_is_gone_is_told(self, alice):
        job = import_jobs.start_import(upload_weights(), metadata_of(), alice)
        queue.cancel(job, alice)
        import_jobs.get_weights_path(job).unlink()
        with pytest.raises(InvalidInputError, match='not stored in full: choose it again'):
            import_jobs.retry_import(job, metadata_of(), alice)


@pytest.mark.usefixtures('in_this_process')
class TestForgetting:
    def test_an_addition_keeps_no_removed_source_in_the_zoo(self, settings, alice):
        run_job(import_jobs.start_import(upload_weights(), metadata_of(name='old'), alice))
        waiting = import_jobs.start_import(upload_weights(seed=2), metadata_of(name='new'), alice)
        assert catalog.remove('old') is True
        assert list_zoo_files(settings) == [import_jobs.get_weights_path(waiting)]

    def test_a_refused_file_goes_after_a_day_and_a_source_never(self, settings, alice, capsys):
        refused = refuse_job(
            import_jobs.start_import(upload_weights(2, 'lenet5_two.pth'), metadata_of(), alice)
        )
        added = run_job(import_jobs.start_import(upload_weights(), metadata_of(), alice))
        waiting = import_jobs.start_import(upload_weights(seed=3), metadata_of(name='waiting'), alice)
        assert import_jobs.delete_expired() == 0
        for job in (refused, added):
            end_long_ago(job)
        call_command('purge')
        assert capsys.readouterr().out.endswith('; 1 files of failed source imports were deleted\n')
        assert set(Job.objects.all()) == {added, waiting}
        assert set(list_zoo_files(settings)) == {
            Path(SourceModel.objects.get().weights),
            import_jobs.get_weights_path(waiting),
        }

    def test_discarding_drops_row_and_file(self, settings, alice):
        job = refuse_job(import_jobs.start_import(upload_weights(), metadata_of(), alice))
        import_jobs.discard_import(job, alice)
        assert (list_zoo_files(settings), Job.objects.count()) == ([], 0)
        assert AuditEvent.objects.get().action == 'discard import'
