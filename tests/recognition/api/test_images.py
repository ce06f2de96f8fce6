"""Images and labels by REST: taken in, listed, moved, thrown away, brought back, and their bytes."""

from __future__ import annotations

import io
import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from PIL import Image as Picture

from recognition.datasets.projects import create_project
from recognition.models import Image, Label
from tests.support.api_answers import is_refusal
from tests.support.photos import draw_photo
from tests.support.zip_archives import write_zip

pytestmark = pytest.mark.django_db


@pytest.fixture
def address(project):
    return f'/api/v1/projects/{project.pk}'


def file(name: str, data: bytes) -> SimpleUploadedFile:
    """With a type that a client may claim, and that nobody should believe."""
    return SimpleUploadedFile(name, data, content_type='text/html')


def send(program, address, *files, **fields):
    return program.post(f'{address}/images', {'files': list(files), **fields}, format='multipart')


def test_photos_and_zips_come_in_together_and_each_gets_a_verdict(program, address):
    archive = write_zip(
        {
            'rose/1.jpg': draw_photo(1),
            'tulip/2.jpg': draw_photo(2),
            'rose/.DS_Store': b'x',
            'rose/bad.jpg': b'x',
        }
    )
    answer = send(
        program,
        address,
        file('3.jpg', draw_photo(3)),
        file('x.zip', archive.getvalue()),
        file('4.jpg', draw_photo(3)),
    )
    assert answer.status_code == 201
    body = answer.json()
    assert {name: body[name] for name in ('created', 'duplicate', 'restored', 'rejected', 'skipped')} == {
        'created': 3,
        'duplicate': 1,
        'restored': 0,
        'rejected': 1,
        'skipped': 1,
    }
    assert [(entry['name'], entry['outcome'], entry['label']) for entry in body['files']] == [
        ('3.jpg', 'created', None),
        ('rose/1.jpg', 'created', 'rose'),
        ('tulip/2.jpg', 'created', 'tulip'),
        ('rose/.DS_Store', 'skipped', None),
        ('rose/bad.jpg', 'rejected', None),
        ('4.jpg', 'duplicate', None),
    ]
    assert [entry['code'] for entry in body['files']] == ['', '', '', 'system_file', 'invalid_image', '']
    assert Image.objects.count() == 3


def test_a_folder_comes_with_its_paths(program, address):
    files = [file('1.jpg', draw_photo(1)), file('2.jpg', draw_photo(2))]
    answer = send(program, address, *files, relative_paths=['flowers/rose/1.jpg', 'flowers/tulip/2.jpg'])
    assert [entry['label'] for entry in answer.json()['files']] == ['rose', 'tulip']
    assert is_refusal(
        send(program, address, *[file('1.jpg', draw_photo(1))] * 2, relative_paths=['a']),
        422,
        'invalid',
        'relative_paths',
    )


def test_a_label_for_all(program, address):
    answer = send(program, address, file('1.jpg', draw_photo(1)), label='weed')
    assert answer.json()['files'][0]['label'] == 'weed'


def test_when_nothing_can_be_taken_the_answer_is_a_refusal_that_names_the_file(program, address):
    answer = send(program, address, file('drawing.svg', b'<svg onload="alert(1)"/>'))
    assert is_refusal(answer, 422, 'invalid_image', 'files')
    assert 'drawing.svg' in answer.json()['message'] and answer.json()['files'][0]['outcome'] == 'rejected'


def test_sending_all_again_is_no_fault(program, address):
    send(program, address, file('1.jpg', draw_photo(1)))
    answer = send(program, address, file('1.jpg', draw_photo(1)))
    assert answer.status_code == 200 and answer.json()['duplicate'] == 1


def test_a_request_without_files_is_refused(program, address):
    assert is_refusal(
        program.post(f'{address}/images', {'label': 'x'}, format='multipart'), 422, 'invalid', 'files'
    )
    assert is_refusal(program.post(f'{address}/images', {'label': 'x'}), 415, 'unsupported_media_type')


def test_a_bomb_is_too_large_and_leaves_no_file_behind(program, address, settings):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1000  # so that it goes through the disk
    bomb = write_zip({f'{n}.bmp': bytes(8 * 2**20) for n in range(10)})
    answer = send(program, address, file('good.jpg', draw_photo(1)), file('bomb.zip', bomb.getvalue()))
    assert is_refusal(answer, 413, 'too_large')
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []
    assert not Image.objects.exists()


def test_an_archive_that_goes_through_the_disk_leaves_no_file_behind(program, address, settings):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1000
    archive = write_zip({'a/1.jpg': draw_photo(1), 'b/2.jpg': draw_photo(2)})
    assert send(program, address, file('x.zip', archive.getvalue())).json()['created'] == 2
    assert list(settings.FILE_UPLOAD_TEMP_DIR.iterdir()) == []


def test_images_are_listed_filtered_and_paged(program, address, labelled, image):
    def listed(query: str = '') -> list[dict]:
        return program.get(f'{address}/images{query}').json()['results']

    assert len(listed()) == 8 and {entry['label'] for entry in listed('?label=rose')} == {'rose'}
    assert listed('?labelled=false') == [] and len(listed('?labelled=true')) == 8
    program.delete(f'{address}/images/{image.pk}')
    assert len(listed()) == 7 and [entry['id'] for entry in listed('?deleted=true')] == [str(image.pk)]
    first = program.get(f'{address}/images?limit=5').json()
    second = program.get(first['next']).json()
    assert (
        len({entry['id'] for entry in first['results'] + second['results']}) == 7 and second['next'] is None
    )


def test_a_listed_image_says_what_it_is_and_where_its_bytes_are(program, address, image):
    entry = program.get(f'{address}/images/{image.pk}').json()
    assert (entry['name'], entry['label'], entry['width'], entry['height']) == ('0.jpg', 'daisy', 32, 32)
    assert entry['digest'] == image.digest and 'key' not in entry and 'added_by' not in entry
    assert program.get(entry['content']).status_code == program.get(entry['thumbnail']).status_code == 200


@pytest.mark.parametrize('part', ['content', 'thumbnail'])
def test_bytes_are_served_so_that_a_browser_runs_nothing(program, address, image, part):
    answer = program.get(f'{address}/images/{image.pk}/{part}')
    assert (
        answer['Content-Type'] == 'image/jpeg' and Picture.open(io.BytesIO(answer.content)).format == 'JPEG'
    )
    assert answer['X-Content-Type-Options'] == 'nosniff'
    assert answer['Content-Security-Policy'] == "default-src 'none'; sandbox"
    assert answer['Content-Disposition'] == 'inline; filename="image.jpg"'
    assert 'private' in answer['Cache-Control']


@pytest.mark.parametrize(
    'name', ['<script>alert(1)</script>.html', 'x.svg\r\nSet-Cookie: a=b', '"; filename=evil.html']
)
def test_neither_name_nor_claimed_type_of_a_file_reaches_the_headers(program, address, name):
    body = send(program, address, file(name, draw_photo(1))).json()
    answer = program.get(f'{address}/images/{body["files"][0]["image"]}/content')
    assert answer.status_code == 200
    assert not any('evil' in value or 'html' in value or 'a=b' in value for value in answer.headers.values())


def test_an_image_changes_its_label(program, address, image):
    assert program.patch(f'{address}/images/{image.pk}', {'label': 'rose'}).json()['label'] == 'rose'
    assert program.patch(f'{address}/images/{image.pk}', {'label': 'oak'}).json()['label'] == 'oak'
    assert program.patch(f'{address}/images/{image.pk}', {'label': None}).json()['label'] is None
    assert is_refusal(program.patch(f'{address}/images/{image.pk}', {}), 422, 'invalid', 'label')


@pytest.mark.parametrize('field', ['name', 'key', 'project', 'digest', 'added_by', 'deleted_at', 'id'])
def test_nothing_else_of_an_image_can_be_set(program, address, image, field):
    before = Image.objects.filter(pk=image.pk).values().get()
    assert is_refusal(
        program.patch(f'{address}/images/{image.pk}', {'label': 'x', field: 'y'}), 422, 'invalid', field
    )
    assert Image.objects.filter(pk=image.pk).values().get() == before


def test_many_images_are_labelled_and_put_back(program, address, labelled):
    ids = [str(key) for key in Image.objects.values_list('pk', flat=True)]
    body = program.post(f'{address}/images/label', {'ids': ids, 'label': 'plant'}).json()
    assert set(body['previous_labels'].values()) == {'daisy', 'rose'}
    assert Image.objects.filter(label__name='plant').count() == 8
    assert program.post(f'{address}/images/restore-labels', body).status_code == 204
    assert Image.objects.filter(label__name='rose').count() == 4


def test_many_images_are_deleted_and_restored(program, address, labelled):
    ids = [str(key) for key in Image.objects.values_list('pk', flat=True)]
    assert program.post(f'{address}/images/delete', {'ids': ids}).json() == {'images': 8}
    assert program.post(f'{address}/images/restore', {'ids': ids[:3]}).json() == {'images': 3}
    assert Image.objects.present().count() == 3


@pytest.mark.parametrize('action', ['label', 'delete', 'restore'])
def test_images_of_another_project_do_not_exist_here(program, address, labelled, image, alice, action):
    elsewhere = f'/api/v1/projects/{create_project(alice, "Other").pk}'
    body = {'ids': [str(image.pk)], **({'label': 'x'} if action == 'label' else {})}
    assert is_refusal(program.post(f'{elsewhere}/images/{action}', body), 404, 'not_found', 'ids')
    assert is_refusal(program.get(f'{elsewhere}/images/{image.pk}/content'), 404, 'not_found')
    image.refresh_from_db()
    assert image.deleted_at is None and image.label.name == 'daisy'


@pytest.mark.parametrize('ids', [[], ['x'], 'x', None, [None], [{}], ['../..'], [5]])
def test_ids_that_are_none_are_refused(program, address, ids):
    answer = program.post(f'{address}/images/delete', {'ids': ids})
    assert answer.status_code in (404, 422) and set(answer.json()) == {'code', 'message', 'field'}


def test_labels_are_made_renamed_merged_and_deleted(program, address, labelled):
    made = program.post(f'{address}/labels', {'name': 'oak'})
    assert made.status_code == 201 and made.json()['images'] == 0
    assert is_refusal(program.post(f'{address}/labels', {'name': 'oak'}), 409, 'conflict', 'name')
    names = {entry['name']: entry for entry in program.get(f'{address}/labels').json()['results']}
    assert {name: entry['images'] for name, entry in names.items()} == {'daisy': 4, 'oak': 0, 'rose': 4}
    merged = program.patch(f'{address}/labels/{names["daisy"]["id"]}', {'name': 'rose'}).json()
    assert merged == {'id': names['rose']['id'], 'name': 'rose', 'images': 8, 'boxes': 0}
    body = program.delete(f'{address}/labels/{merged["id"]}').json()
    assert len(body['previous_labels']) == 8 and Image.objects.filter(label=None).count() == 8
    assert is_refusal(program.get(f'{address}/labels/{merged["id"]}'), 404, 'not_found')


def test_labels_of_another_project_do_not_exist_here(program, address, labelled, alice):
    elsewhere = f'/api/v1/projects/{create_project(alice, "Other").pk}'
    rose = Label.objects.get(name='rose')
    for method in ('get', 'patch', 'delete'):
        assert is_refusal(
            getattr(program, method)(f'{elsewhere}/labels/{rose.pk}', {'name': 'x'}), 404, 'not_found'
        )
    assert is_refusal(program.get(f'{address}/labels/{10**30}'), 404, 'not_found')
    assert is_refusal(program.get(f'{address}/images/{uuid.uuid4()}'), 404, 'not_found')
