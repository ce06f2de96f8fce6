"""Boxes and sets of annotations by REST."""

from __future__ import annotations

import io
import json
import zipfile

import pytest

from tests.support.api_answers import is_refusal
from tests.support.detection_projects import boxed_project, detection_project, photo
from tests.support.photos import draw_photo
from tests.support.zip_archives import write_zip

pytestmark = pytest.mark.django_db

BOX = {'label': 'red', 'x0': 4, 'y0': 4.5, 'x1': 20, 'y1': 20, 'difficult': False}


@pytest.fixture
def cells(alice):
    return detection_project(alice, 2)


@pytest.fixture
def address(cells):
    return f'/api/v1/projects/{cells.pk}/images/{photo(cells).pk}/boxes'


def send(program, project, name, file):
    file.name = name
    file.seek(0)
    return program.post(
        f'/api/v1/projects/{project.pk}/annotations/import', {'files': file}, format='multipart'
    )


def test_a_program_draws_changes_and_undoes(program, address):
    before = program.get(address).json()
    assert (before['version'], before['state'], before['boxes'], before['width']) == (0, 'unlabelled', [], 48)
    drawn = program.put(address, {'version': 0, 'boxes': [BOX]}).json()
    assert (drawn['version'], drawn['state'], drawn['boxes']) == (1, 'boxes', [BOX])
    undone = program.put(address, {'version': 1, 'boxes': before['boxes']}).json()
    assert (undone['version'], undone['state']) == (2, 'unlabelled')
    assert program.put(address, {'version': 2, 'boxes': [], 'empty': True}).json()['state'] == 'empty'


def test_a_stale_version_is_a_conflict_and_a_repeated_request_is_not(program, address):
    body = {'version': 0, 'boxes': [BOX]}
    assert program.put(address, body).json() == program.put(address, body).json()
    assert is_refusal(program.put(address, {'version': 0, 'boxes': []}), 409, 'conflict', 'version')


@pytest.mark.parametrize(
    ('change', 'field'),
    [
        ({'x1': 4}, 'boxes[1]'),
        ({'x0': 'nan'}, 'boxes[1].x0'),
        ({'x0': 90, 'x1': 99}, 'boxes[1]'),
        ({'label': 'a' * 200}, 'boxes[1].label'),
    ],
)
def test_a_box_that_is_none_is_refused_by_its_place(program, address, change, field):
    answer = program.put(address, {'version': 0, 'boxes': [BOX, {**BOX, **change}]})
    assert is_refusal(answer, 422, 'invalid', field)
    assert program.get(address).json()['version'] == 0


def test_far_too_many_boxes_are_counted_before_any_is_looked_at(program, address):
    answer = program.put(address, {'version': 0, 'boxes': ['no box'] * 100_000})
    assert is_refusal(answer, 422, 'invalid', 'boxes') and '100,000 boxes' in answer.json()['message']


def test_the_list_of_images_shows_which_were_checked(program, cells, address):
    program.put(address, {'version': 0, 'boxes': [], 'empty': True})
    left = program.get(f'/api/v1/projects/{cells.pk}/images?labelled=false').json()['results']
    assert [(image['name'], image['annotated_at']) for image in left] == [('1.jpg', None)]
    program.put(address, {'version': 1, 'boxes': [BOX, BOX]})
    reds = program.get(f'/api/v1/projects/{cells.pk}/images?label=red').json()['results']
    assert [image['name'] for image in reds] == ['0.jpg']
    (red,) = program.get(f'/api/v1/projects/{cells.pk}/labels').json()['results']
    assert (red['images'], red['boxes']) == (0, 2)


def test_a_project_is_made_to_find_things_and_its_health_counts_boxes(program, alice):
    made = program.post('/api/v1/projects', {'name': 'Cells', 'task': 'detection'}).json()
    assert made['task'] == 'detection'
    assert (
        program.patch(f'/api/v1/projects/{made["id"]}', {'task': 'classification'}).json()['task']
        == 'classification'
    )
    cells = boxed_project(alice, 5)
    assert is_refusal(
        program.patch(f'/api/v1/projects/{cells.pk}', {'task': 'classification'}), 409, 'conflict', 'task'
    )
    health = program.get(f'/api/v1/projects/{cells.pk}/health').json()
    assert health['ready'] and [entry['boxes'] for entry in health['labels']] == [5, 5]


def test_a_strangers_zip_becomes_the_content_of_a_project_in_one_step(program, alice, cells):
    source = boxed_project(alice, 3)
    answer = program.get(f'/api/v1/projects/{source.pk}/annotations/export?format=voc')
    assert answer['Content-Type'] == 'application/zip' and 'cells-voc.zip' in answer['Content-Disposition']
    archive = io.BytesIO(b''.join(answer.streaming_content))
    other = detection_project(alice)
    got = send(program, other, 'set.zip', archive)
    assert got.status_code == 201
    body = got.json()
    assert (
        body['created'] == 3 and body['annotations']['boxes'] == 6 and body['annotations']['rejected'] == []
    )


def test_annotations_alone_answer_200_and_nothing_of_use_422(program, alice):
    cells = boxed_project(alice, 2)
    answer = program.get(f'/api/v1/projects/{cells.pk}/annotations/export?format=coco&images=false')
    archive = io.BytesIO(b''.join(answer.streaming_content))
    assert set(zipfile.ZipFile(archive).namelist()) == {'annotations.json', 'manifest.json'}
    assert send(program, cells, 'set.zip', archive).status_code == 200
    elsewhere = {'images': [{'id': 1, 'file_name': 'x.jpg'}], 'annotations': []}
    answer = send(program, cells, 'a.json', io.BytesIO(json.dumps(elsewhere).encode()))
    assert answer.status_code == 422 and 'no uploaded image has this name' in answer.json()['message']
    assert is_refusal(send(program, cells, 'a.json', io.BytesIO(b'{}')), 422, 'invalid', 'files')


def test_an_unknown_format_is_refused(program, cells):
    assert program.get(f'/api/v1/projects/{cells.pk}/annotations/export?format=tfrecord').status_code == 400
    file = write_zip({'a.jpg': draw_photo(1)})
    file.name = 'a.zip'
    body = {'files': file, 'format': 'x'}
    answer = program.post(f'/api/v1/projects/{cells.pk}/annotations/import', body, format='multipart')
    assert is_refusal(answer, 422, 'invalid', 'format')
