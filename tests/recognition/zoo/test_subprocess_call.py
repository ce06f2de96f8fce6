"""A module runs in a subprocess: its answer, its progress, its end, and the limits on both."""

from __future__ import annotations

from pathlib import Path

import pytest

from recognition.errors import InvalidInputError
from recognition.zoo import subprocess_call
from tests.support.import_jobs import SLEEPER
from tests.support.weights_files import save_lenet
from transfer.spec.errors import JobCancelledError


def test_what_takes_too_long_is_given_up():
    with pytest.raises(InvalidInputError, match='longer than 0 seconds'):
        subprocess_call.call('transfer.zoo.fetch.inspect_weights', {}, seconds=0.01)


def test_progress_before_its_answer_is_passed_on(settings, tmp_path):
    (tmp_path / 'talker.py').write_text(
        'print(\'{"progress": {"at": 1}}\\n{"progress": {"at": 2}}\\n{"found": 3}\')'
    )
    settings.BASE_DIR = tmp_path
    progress = []
    assert subprocess_call.call('talker', {}, seconds=20, on_progress=progress.append) == {'found': 3}
    assert progress == [{'at': 1}, {'at': 2}]


def test_the_last_line_of_a_child_that_died_is_in_the_error():
    with pytest.raises(InvalidInputError, match=r'No module named transfer\.zoo\.nothing'):
        subprocess_call.call('transfer.zoo.nothing', {}, seconds=20)


def test_a_file_that_needs_more_memory_than_allowed_is_refused(tmp_path):
    path = save_lenet(tmp_path / 'lenet5.pth')
    with pytest.raises(InvalidInputError):
        subprocess_call.call(
            'transfer.zoo.fetch.inspect_weights',
            {'path': str(path), 'architecture': 'vgg16', 'side': 0, 'memory': 2**20},
            seconds=60,
        )


def test_an_error_in_a_callback_ends_the_child(settings, tmp_path):
    (tmp_path / 'sleeper.py').write_text(SLEEPER)
    settings.BASE_DIR = tmp_path

    stages = []

    def unwanted() -> None:
        if stages:
            raise JobCancelledError

    with pytest.raises(JobCancelledError):
        subprocess_call.call('sleeper', {}, seconds=30, on_progress=stages.append, on_tick=unwanted)
    assert not Path(f'/proc/{(tmp_path / "pid").read_text()}').exists()


@pytest.mark.parametrize(
    'last', ['pass', """print('{"progress": {"stage": "read"}}')""", "print('[]')", "print('no JSON')"]
)
def test_a_child_that_ends_without_an_answer_is_named(settings, tmp_path, last):
    (tmp_path / 'mute.py').write_text(last)
    settings.BASE_DIR = tmp_path
    with pytest.raises(InvalidInputError, match='ended without an answer'):
        subprocess_call.call('mute', {}, seconds=30)
