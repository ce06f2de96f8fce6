"""Every kind of job keeps what it is to do, and what became of it, as one record."""

from __future__ import annotations

import json

import pytest

from recognition.models import Job
from recognition.serving import detection_jobs
from recognition.serving.detection_jobs import DetectionJobSpec
from recognition.zoo import import_jobs, signature_jobs
from recognition.zoo.import_jobs import ImportResult, ImportSpec
from recognition.zoo.registration import SourceMetadata
from recognition.zoo.signature_jobs import SignatureSpec
from transfer.spec.errors import InvalidRecordError
from transfer.spec.records import to_json
from transfer.spec.train_spec import SourceModelSpec

REFERENCE = SourceModelSpec('ref', 'resnet18', 'ref.pth', 'd' * 64, 10, 5000, signature=(0.5, 0.25))
METADATA = SourceMetadata('digits', 'resnet18', 'MNIST', 'digits', 60, ('one', 'two'), approved=False)
SPECS = [
    (signature_jobs, SignatureSpec(3, 'graft-leaf', REFERENCE)),
    (detection_jobs, DetectionJobSpec('an id', None, ('a.jpg', 'b.jpg'))),
    (detection_jobs, DetectionJobSpec('an id', 0.25, ())),
    (import_jobs, ImportSpec.from_form('digits.pth', 'mine.pth', 1234, METADATA)),
]


def store(record: object) -> dict[str, object]:
    return json.loads(json.dumps(to_json(record)))


@pytest.mark.parametrize(('use_case', 'spec'), SPECS)
def test_the_spec_of_a_job_is_read_from_its_row_as_it_was_queued(use_case, spec):
    assert use_case.read_spec(Job(spec=store(spec))) == spec


@pytest.mark.parametrize(('use_case', 'spec'), SPECS)
def test_a_row_that_lacks_a_field_is_refused_by_its_name(use_case, spec):
    stored = store(spec)
    lost = next(iter(stored))
    del stored[lost]
    with pytest.raises(InvalidRecordError, match=f'{lost} is missing'):
        use_case.read_spec(Job(spec=stored))


def test_an_import_keeps_its_form_flat_so_that_rows_are_found_by_the_name():
    stored = store(SPECS[-1][1])
    assert (stored['name'], stored['file'], stored['class_names']) == ('digits', 'digits.pth', ['one', 'two'])
    assert import_jobs.read_spec(Job(spec=stored)).metadata == METADATA


def test_an_import_that_an_earlier_version_queued_is_read():
    stored = store(SPECS[-1][1])
    stored['shown'] = stored.pop('file_name')
    assert import_jobs.read_spec(Job(spec=stored)).file_name == 'mine.pth'


@pytest.mark.parametrize(
    ('result', 'stored'),
    [
        (ImportResult(source=7), {'source': 7}),
        (ImportResult(field='side'), {'field': 'side'}),
        (ImportResult(field=''), {'field': ''}),
        (ImportResult(), {}),
    ],
)
def test_the_result_of_an_import_is_the_source_or_the_field_to_correct(result, stored):
    assert store(result) == stored
    assert import_jobs.read_result(Job(result=stored)) == result
