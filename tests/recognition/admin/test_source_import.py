"""The pages of an import in the admin: followed to the source, corrected where it was refused, cancelled and
discarded."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from django.contrib.auth.models import Permission
from django.core.files.uploadedfile import SimpleUploadedFile
from django.urls import reverse

from recognition.models import Job, SourceModel
from recognition.models.job import JobKind
from recognition.zoo import import_jobs
from tests.support.import_jobs import list_zoo_files, metadata_of, refuse_job, run_job
from tests.support.weights_files import upload_weights

pytestmark = pytest.mark.django_db

ADD = reverse('admin:recognition_sourcemodel_add')
LIST = reverse('admin:recognition_sourcemodel_changelist')


def at(name: str, job: Job) -> str:
    return reverse(f'admin:recognition_sourcemodel_{name}', args=[job.pk])


def send(client, **fields) -> Job:
    answer = client.post(ADD, {'file': upload_weights(), 'images': 60, **fields})
    job = Job.objects.get(kind=JobKind.SOURCE_IMPORT)
    assert answer['Location'] == at('import', job)
    return job


def test_it_follows_to_the_source(keeper):
    job = send(keeper)
    page = keeper.get(at('import', job)).content.decode()
    assert 'data-follow' in page and 'lenet5_digits.pth' in page
    told = keeper.get(at('import_progress', job)).json()
    assert (told['state'], told['finished'], told['fraction']) == ('queued', False, None)
    assert 'is being imported' in keeper.get(LIST).content.decode()
    run_job(job)
    answer = keeper.get(at('import', job), follow=True)
    row = SourceModel.objects.get()
    assert answer.redirect_chain[-1][0] == reverse('admin:recognition_sourcemodel_change', args=[row.pk])
    assert 'Source model “lenet5_digits” was added to the zoo.' in answer.content.decode()
    assert 'is being imported' not in keeper.get(LIST).content.decode()


@pytest.mark.usefixtures('in_this_process')
def test_a_refusal_stands_beside_its_field_with_what_was_said_and_is_corrected_without_the_file(
    keeper, settings
):
    names = SimpleUploadedFile('names.json', b'["[one]", "two"]')
    job = run_job(send(keeper, classes_file=names, title='Digits <b>', domain='numbers', side=32))
    answer = keeper.get(at('import', job))
    form = answer.context['form']
    assert answer.status_code == 200
    assert form.errors == {'classes': ['2 class names were given, but the network has 3 classes.']}
    assert (form['title'].value(), form['domain'].value(), form['images'].value(), form['side'].value()) == (
        'Digits <b>', 'numbers', 60, 32,
    )  # fmt: skip
    assert (form['name'].value(), form['architecture'].value(), form['approved'].value()) == (
        'lenet5_digits',
        'lenet5',
        False,
    )
    assert 'was refused' in keeper.get(LIST).content.decode()
    told = {
        name: form[name].value()
        for name in ('title', 'domain', 'images', 'side', 'name', 'architecture', 'classes')
    }
    assert told['classes'] == '["[one]", "two"]'  # as lines it would be read as JSON
    still = keeper.post(at('import', job), {**told, 'images': 0})
    assert still.status_code == 422 and 'images' in still.context['form'].errors
    answer = keeper.post(at('import', job), {**told, 'classes': 'one\ntwo\nthree'})
    assert answer['Location'] == at('import', job)
    run_job(Job.objects.get())
    row = SourceModel.objects.get()
    assert (row.class_names, row.title, list_zoo_files(settings)) == (
        ['one', 'two', 'three'],
        'Digits <b>',
        [Path(row.weights)],
    )


def test_what_a_file_is_called_is_shown_as_text(keeper):
    job = refuse_job(send(keeper, file=upload_weights(name='<i>lenet5.pth'), name='mine'))
    for page in (keeper.get(at('import', job)), keeper.post(at('import', job), {}), keeper.get(LIST)):
        assert '<i>lenet5' not in page.content.decode()
    assert '&lt;i&gt;lenet5.pth is stored' in keeper.get(at('import', job)).content.decode()


@pytest.mark.usefixtures('in_this_process')
def test_another_file_may_be_sent_instead(keeper, settings):
    job = refuse_job(send(keeper, architecture='resnet18'))
    answer = keeper.post(
        at('import', job), {'file': upload_weights(4, 'lenet5_four.pth'), 'images': 60, 'name': 'four'}
    )
    other = Job.objects.get()
    assert (other.pk != job.pk, answer['Location']) == (True, at('import', other))
    run_job(other)
    assert list_zoo_files(settings) == [Path(SourceModel.objects.get(name='four', classes=4).weights)]


def test_what_is_said_of_one_that_is_under_way_again_is_not_swallowed(keeper):
    job = send(keeper)
    answer = keeper.post(at('import', job), {'images': 60, 'title': 'from another window'}, follow=True)
    assert answer.redirect_chain == [(at('import', job), 302)]
    assert 'this form was not used' in answer.content.decode()
    job.refresh_from_db()
    assert job.spec['title'] == ''


@pytest.mark.parametrize(
    'names', [['a', 'b b', 'c'], ['[a]', 'b', 'c'], ['a', 'b\u2028b', 'c'], [' a', 'b ', 'c']]
)
def test_class_names_survive_the_form_that_they_are_corrected_in(keeper, names):
    file = SimpleUploadedFile('names.json', json.dumps(names).encode())
    job = refuse_job(send(keeper, classes_file=file, architecture='resnet18'))
    known = job.spec['class_names']
    form = keeper.get(at('import', job)).context['form']
    assert form.cleaned_data['classes'] == tuple(known)


def test_it_stops_and_discards(keeper, settings):
    job = send(keeper)
    page = keeper.post(at('cancel_import', job), follow=True).content.decode()
    assert 'Cancelled' in page and 'stored until' in page
    assert 'was cancelled' in keeper.get(LIST).content.decode()
    page = keeper.post(at('discard_import', job), follow=True).content.decode()
    assert 'File “lenet5_digits.pth” was discarded.' in page
    assert (list_zoo_files(settings), Job.objects.count()) == ([], 0)
    assert keeper.get(at('import', job)).status_code == 404


def test_when_the_kept_file_is_gone_it_asks_for_it(keeper):
    job = send(keeper)
    keeper.post(at('cancel_import', job))
    import_jobs.get_weights_path(job).unlink()
    answer = keeper.get(at('import', job))
    assert 'no longer stored' in answer.content.decode()
    assert answer.context['form'].fields['file'].required


def test_only_who_may_add_may_see_or_touch_one(client, bob, alice):
    job = import_jobs.start_import(upload_weights(), metadata_of(), alice)
    bob.is_staff = True
    bob.save(update_fields=['is_staff'])
    bob.user_permissions.add(Permission.objects.get(codename='view_sourcemodel'))
    client.force_login(bob)
    assert 'is being imported' not in client.get(LIST).content.decode()
    for name in ('import', 'import_progress'):
        assert client.get(at(name, job)).status_code == 403
    for name in ('import', 'cancel_import', 'discard_import'):
        assert client.post(at(name, job)).status_code == 403
    for name in ('cancel_import', 'discard_import'):
        assert client.get(at(name, job)).status_code == 405
