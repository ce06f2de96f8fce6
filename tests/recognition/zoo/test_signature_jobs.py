"""Signing a source by a job: its images are kept, looked at by a worker, and turned into numbers on its
row."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import numpy as np
import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse
from django.utils import timezone
from PIL import Image as Picture

from recognition import storage
from recognition.datasets import archives
from recognition.errors import ConflictError, InvalidInputError, NotReadyError
from recognition.jobs import queue
from recognition.management import bootstrap
from recognition.models import Job, SourceModel
from recognition.models.job import State
from recognition.zoo import signature_jobs
from tests.support.photos import draw_photo
from tests.support.source_rows import add_source
from transfer.spec.errors import JobCancelledError
from transfer.worker import execute
from transfer.zoo.signatures import compute

pytestmark = pytest.mark.django_db

SIDE = 84  # numbers of LeNet's penultimate feature


@pytest.fixture
def reference(tmp_path, settings):
    settings.P2L_REFERENCE = 'reference'
    return add_source(tmp_path, 'reference', 1)


@pytest.fixture
def source(tmp_path, reference):
    return add_source(tmp_path, 'mine', 2)


def zipped(count: int = 5, **more: bytes) -> io.BytesIO:
    file = io.BytesIO()
    with zipfile.ZipFile(file, 'w') as archive:
        for number in range(count):
            archive.writestr(f'photos/{number % 2}/{number}.jpg', draw_photo(number))
        for name, data in more.items():
            archive.writestr(f'photos/0/{name}.jpg', data)
    return file


def sent(file: io.BytesIO):
    return archives.read_upload('images.zip', file)


def run(job: Job) -> Job:
    assert queue.claim(job)
    execute.run_attempt(job)
    job.refresh_from_db()
    return job


def expected(reference: SourceModel, seeds: range, folder: Path) -> tuple[float, ...]:
    from recognition.zoo import catalog

    paths = []
    for seed in seeds:
        paths.append(folder / f'{seed}.jpg')
        paths[-1].write_bytes(draw_photo(seed))
    return compute.compute_signature(catalog.get_reference(), paths).mean


def test_a_zip_of_its_images_signs_a_source(source, reference, alice, tmp_path):
    job = run(signature_jobs.start_from_files(source, sent(zipped(5)), alice))
    source.refresh_from_db()
    assert (job.state, job.kind, job.project) == (State.SUCCEEDED, 'signature', None)
    assert source.signatures[reference.digest] == pytest.approx(
        expected(reference, range(5), tmp_path), abs=1e-5
    )
    assert signature_jobs.get_progress(source).fraction == 1.0


def test_what_is_no_image_is_left_out_and_told(source, alice, reference):
    run(signature_jobs.start_from_files(source, sent(zipped(3, broken=b'no picture')), alice))
    source.refresh_from_db()
    assert len(source.signatures[reference.digest]) == SIDE
    assert signature_jobs.get_progress(source).message.startswith('3 of 4 files were images')


def test_when_none_of_them_is_an_image_the_job_fails_with_the_reason(source, alice):
    job = run(signature_jobs.start_from_files(source, sent(zipped(0, a=b'x', b=b'y')), alice))
    assert (job.state, job.error_code) == (State.FAILED, 'unusable_source')
    assert 'None of the 2 files is an image' in job.error_message
    source.refresh_from_db()
    assert source.signatures == {}


def test_a_killed_signing_goes_on_where_it_was_and_ends_the_same(
    source, reference, alice, tmp_path, monkeypatch
):
    monkeypatch.setattr(compute, 'BATCH', 2)
    job = signature_jobs.start_from_files(source, sent(zipped(7)), alice)
    looked = []
    real = compute.decode

    def dying(path, side):
        looked.append(path)
        if len(looked) == 5:
            raise JobCancelledError  # as when the job is taken from a worker
        return real(path, side)

    monkeypatch.setattr(compute, 'decode', dying)
    assert queue.claim(job)
    execute.run_attempt(job)
    job.refresh_from_db()
    assert job.state == State.RUNNING and job.requeue('its worker died')
    looked[:] = [None] * 10
    run(job)
    assert len(looked) == 10 + 3  # the four of the first attempt are not looked at again
    source.refresh_from_db()
    assert source.signatures[reference.digest] == pytest.approx(
        expected(reference, range(7), tmp_path), abs=1e-5
    )


def test_a_running_signing_is_cancelled(source, alice):
    job = signature_jobs.start_from_files(source, sent(zipped(3)), alice)
    assert queue.claim(job)
    queue.cancel(job, alice)
    execute.run_attempt(job)
    job.refresh_from_db()
    source.refresh_from_db()
    assert (job.state, source.signatures) == (State.CANCELLED, {})


def test_another_reference_signs_again_and_the_old_signature_stays(
    source, reference, tmp_path, settings, alice
):
    run(signature_jobs.start_from_files(source, sent(zipped(3)), alice))
    second = add_source(tmp_path, 'second', 3)
    settings.P2L_REFERENCE = 'second'
    begun = signature_jobs.start_missing(alice)
    assert [job.spec['name'] for job in begun.jobs] == ['mine']
    assert begun.without_images == ('reference', 'second')
    assert signature_jobs.start_missing(alice).jobs == ()  # it is under way
    run(begun.jobs[0])
    source.refresh_from_db()
    assert set(source.signatures) == {reference.digest, second.digest}


def test_a_source_learned_here_is_signed_with_its_projects_photos(
    source, reference, project, alice, tmp_path
):
    from recognition.datasets.upload_results import IncomingFile
    from recognition.datasets.uploads import add_images

    files = [IncomingFile(f'{n}.jpg', lambda n=n: draw_photo(n), 900, 'daisy') for n in range(3)]
    add_images(project, alice, files)
    SourceModel.objects.filter(pk=source.pk).update(project=project, origin='promoted')
    source.refresh_from_db()
    run(signature_jobs.start(source, alice))
    source.refresh_from_db()
    assert len(source.signatures[reference.digest]) == SIDE


def test_what_a_detector_became_is_signed_with_what_is_boxed_and_with_background(
    source, reference, project, alice, monkeypatch
):
    from recognition.datasets.upload_results import IncomingFile
    from recognition.datasets.uploads import add_images
    from recognition.models import Annotation, Image, Label
    from transfer.regions import proposals

    add_images(
        project, alice, [IncomingFile(f'{n}.jpg', lambda n=n: draw_photo(n), 900, None) for n in range(2)]
    )
    label = Label.objects.create(project=project, name='bolt')
    for image in Image.objects.all():
        Annotation.objects.create(image=image, label=label, x0=2, y0=2, x1=20, y1=20)
    Image.objects.update(boxed_at=timezone.now())
    project.task = 'detection'
    project.save()
    monkeypatch.setitem(
        proposals.METHODS, 'selective-search', lambda pixels: np.array([[24, 24, 44, 44]], np.float32)
    )
    SourceModel.objects.filter(pk=source.pk).update(project=project, origin='promoted')
    source.refresh_from_db()
    sizes = []
    real = compute.decode
    monkeypatch.setattr(
        compute, 'decode', lambda path, side: sizes.append(Picture.open(path).size) or real(path, side)
    )
    job = run(signature_jobs.start(source, alice))
    source.refresh_from_db()
    assert (job.state, job.error_message) == (State.SUCCEEDED, '')
    assert len(source.signatures[reference.digest]) == SIDE
    assert len(sizes) == 4 and all(
        max(size) < 30 for size in sizes
    )  # two things and two pieces of background, cut out


def test_what_cannot_be_signed_is_refused_and_nothing_is_kept(source, alice, reference):
    with pytest.raises(InvalidInputError, match='There are no images of mine'):
        signature_jobs.start(source, alice)
    with pytest.raises(InvalidInputError, match='no image among the files'):
        signature_jobs.start_from_files(source, sent(zipped(0)), alice)
    with pytest.raises(
        InvalidInputError, match=r'no image among the files\. images\.zip is not a zip archive'
    ):
        signature_jobs.start_from_files(
            source, archives.read_upload('images.zip', io.BytesIO(b'nonsense')), alice
        )
    signature_jobs.start_from_files(source, sent(zipped(2)), alice)
    with pytest.raises(ConflictError, match='being computed already'):
        signature_jobs.start_from_files(source, sent(zipped(2)), alice)
    assert Job.objects.count() == 1


def test_without_a_reference_there_is_nothing_to_sign_under(tmp_path, settings, alice):
    settings.P2L_REFERENCE = 'nowhere'
    with pytest.raises(NotReadyError):
        signature_jobs.start_from_files(add_source(tmp_path, 'mine', 2), sent(zipped(2)), alice)


def test_of_many_images_a_thousand_are_kept_from_every_folder(source, alice, monkeypatch):
    monkeypatch.setattr(signature_jobs, 'MAX_IMAGES', 4)
    signature_jobs.start_from_files(source, sent(zipped(9)), alice)
    source.refresh_from_db()
    with zipfile.ZipFile(storage.local_path(source.image_archive)) as kept:
        names = kept.namelist()
        contents = {kept.read(name) for name in names}
    assert names == ['00000.jpg', '00001.jpg', '00002.jpg', '00003.jpg']
    kinds = {number % 2 for number in range(9) if draw_photo(number) in contents}
    assert kinds == {0, 1}


class TestPage:
    def at(self, name: str, source: SourceModel) -> str:
        return reverse(f'admin:recognition_sourcemodel_{name}', args=[source.pk])

    def test_it_sends_follows_and_stops(self, keeper, source):
        upload = SimpleUploadedFile('images.zip', zipped(3).getvalue())
        page = keeper.post(
            self.at('compute_signature', source), {'archive': upload}, follow=True
        ).content.decode()
        assert 'The signature of “mine” is being computed.' in page and 'data-follow' in page
        body = keeper.get(self.at('signature_progress', source)).json()
        assert (body['state'], body['finished']) == ('queued', False)
        keeper.post(self.at('cancel_signature', source))
        assert keeper.get(self.at('signature_progress', source)).json()['state'] == 'cancelled'
        listing = reverse('admin:recognition_sourcemodel_changelist')
        again = keeper.post(
            listing, {'action': 'compute_signatures', '_selected_action': [source.pk]}, follow=True
        )
        assert (
            'Source model “mine” was queued: a worker will compute the signature.' in again.content.decode()
        )

    def test_the_files_of_a_folder_will_do(self, keeper, source):
        files = [SimpleUploadedFile(f'{n}.jpg', draw_photo(n)) for n in range(3)] + [
            SimpleUploadedFile('notes.txt', b'x')
        ]
        keeper.post(self.at('compute_signature', source), {'folder': files})
        source.refresh_from_db()
        with zipfile.ZipFile(storage.local_path(source.image_archive)) as kept:
            assert len(kept.namelist()) == 3

    def test_nothing_sent_is_said(self, keeper, source):
        page = keeper.post(self.at('compute_signature', source), follow=True).content.decode()
        assert 'Choose a zip or a folder' in page and not Job.objects.exists()

    def test_who_may_only_look_sees_but_does_not_sign(self, client, source, bob):
        from django.contrib.auth.models import Permission

        bob.is_staff = True
        bob.save(update_fields=['is_staff'])
        client.force_login(bob)
        assert client.get(self.at('signature_progress', source)).status_code == 403
        bob.user_permissions.add(Permission.objects.get(codename='view_sourcemodel'))
        assert client.get(self.at('signature_progress', source)).json() == {}
        for name in ('compute_signature', 'recompute_signature', 'cancel_signature'):
            assert client.post(self.at(name, source)).status_code == 403
            assert client.get(self.at(name, source)).status_code == 405


def test_a_server_that_starts_signs_what_lacks_a_signature_under_its_reference(source, settings):
    SourceModel.objects.filter(pk=source.pk).update(image_archive='zoo/kept.zip')
    assert bootstrap.compute_missing_signatures() == [
        'A worker will compute the signatures of 1 source models.'
    ]
    assert bootstrap.compute_missing_signatures() == []  # it is under way
    settings.P2L_REFERENCE = 'nowhere'
    assert "lacks the reference model 'nowhere'" in bootstrap.compute_missing_signatures()[0]
