"""The broker that is a folder."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from queue import Empty

import pytest
from kombu import Connection, Exchange, Queue

from recognition.celery import app  # noqa: F401  registers the transport

ROOT = Path(__file__).resolve().parents[3]
PRODUCER = """
import sys
from kombu import Connection
import recognition.celery
with Connection('spool://', transport_options={'folder': sys.argv[1]}) as connection:
    queue = connection.SimpleQueue('work')
    for number in range(int(sys.argv[2]), int(sys.argv[3])):
        queue.put({'number': number, 'padding': 'x' * 2000})
"""
CONSUMER = """
import sys, time
from queue import Empty
from kombu import Connection
import recognition.celery
until = time.monotonic() + 20
options = {'folder': sys.argv[1], 'polling_interval': 0.01}
with Connection('spool://', transport_options=options) as connection:
    queue = connection.SimpleQueue('work')
    with open(sys.argv[2], 'w', buffering=1) as log:
        while time.monotonic() < until:
            try:
                message = queue.get(timeout=1)
            except Empty:
                break
            message.ack()
            log.write(f"{message.payload['number']}\\n")
"""


@pytest.fixture
def connection(tmp_path):
    with Connection(
        'spool://', transport_options={'folder': str(tmp_path / 'spool'), 'polling_interval': 0.01}
    ) as connection:
        yield connection


def run(program: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, '-c', program, *map(str, arguments)], cwd=ROOT)


def test_messages_come_back_in_the_order_in_which_they_were_sent(connection):
    queue = connection.SimpleQueue('work')
    for number in range(20):
        queue.put({'number': number})
    assert [queue.get(timeout=1).payload['number'] for _ in range(20)] == list(range(20))
    with pytest.raises(Empty):
        queue.get(timeout=0.05)


def test_a_message_survives_the_end_of_its_sender_and_waits_for_a_reader(tmp_path, connection):
    connection.SimpleQueue('work').put({'number': 7})
    connection.close()
    with Connection('spool://', transport_options={'folder': str(tmp_path / 'spool')}) as later:
        assert later.SimpleQueue('work').get(timeout=1).payload == {'number': 7}


def test_queues_do_not_mix(connection):
    cpu, gpu = connection.SimpleQueue('cpu'), connection.SimpleQueue('gpu')
    cpu.put('for the processor')
    gpu.put('for the accelerator')
    assert gpu.get(timeout=1).payload == 'for the accelerator'
    assert cpu.get(timeout=1).payload == 'for the processor'


def test_a_returned_message_comes_again(connection):
    queue = connection.SimpleQueue('work')
    queue.put('again')
    queue.get(timeout=1).requeue()
    assert queue.get(timeout=1).payload == 'again'


def test_a_message_that_was_held_at_the_close_of_its_reader_comes_again(tmp_path, connection):
    queue = connection.SimpleQueue('work')
    queue.put('held')
    queue.get(timeout=1)
    connection.close()
    with Connection('spool://', transport_options={'folder': str(tmp_path / 'spool')}) as later:
        assert later.SimpleQueue('work').get(timeout=1).payload == 'held'


def test_a_file_that_is_no_message_is_removed_and_does_not_stop_the_others(tmp_path, connection):
    queue = connection.SimpleQueue('work')
    queue.put('good')
    (tmp_path / 'spool' / 'work' / '00000000000000000000-bad').write_text('{"half')
    assert queue.get(timeout=1).payload == 'good'
    assert list((tmp_path / 'spool' / 'work').iterdir()) == []


def test_what_is_still_being_written_is_not_read_and_is_swept_when_its_writer_is_long_dead(
    tmp_path, connection
):
    queue = connection.SimpleQueue('work')
    young, old = (tmp_path / 'spool' / 'work' / f'{age}.part' for age in ('young', 'old'))
    young.write_text('{}')
    old.write_text('{}')
    os.utime(old, (time.time() - 7200, time.time() - 7200))
    with pytest.raises(Empty):
        queue.get(timeout=0.05)
    connection.channel().queue_declare('work')
    assert (young.exists(), old.exists()) == (True, False)


def test_a_queue_of_any_name_stays_within_the_folder(tmp_path, connection):
    for name in ('../outside', '..', 'a/b', '.hidden', 'plain'):
        queue = Queue(name, Exchange(name), routing_key=name)
        connection.SimpleQueue(queue).put(name)
        assert connection.SimpleQueue(queue).get(timeout=1).payload == name
    assert [path.name for path in tmp_path.iterdir() if path.name not in ('incoming', 'media')] == ['spool']
    assert all(path.is_dir() and path.parent == tmp_path / 'spool' for path in (tmp_path / 'spool').iterdir())


def test_size_and_purge_count_messages(connection):
    queue = connection.SimpleQueue('work')
    for number in range(3):
        queue.put(number)
    assert queue.qsize() == 3
    assert queue.clear() == 3
    assert queue.qsize() == 0


def test_of_many_writers_and_readers_every_message_is_read_exactly_once(tmp_path):
    each = 400
    readers = [run(CONSUMER, tmp_path / 'spool', tmp_path / f'read-{number}') for number in range(3)]
    writers = [run(PRODUCER, tmp_path / 'spool', number * each, (number + 1) * each) for number in range(3)]
    assert [process.wait(60) for process in [*writers, *readers]] == [0] * 6
    leftover = list((tmp_path / 'spool' / 'work').iterdir())
    read = [int(line) for number in range(3) for line in (tmp_path / f'read-{number}').read_text().split()]
    assert sorted(read) == list(range(3 * each))
    assert leftover == []


def test_a_reader_that_is_killed_loses_at_most_the_one_message_in_its_hands_and_reads_none_twice(tmp_path):
    run(PRODUCER, tmp_path / 'spool', 0, 600).wait(60)
    for number in range(3):
        reader = run(CONSUMER, tmp_path / 'spool', tmp_path / f'read-{number}')
        log = tmp_path / f'read-{number}'
        while not (log.exists() and log.stat().st_size > 50):
            assert reader.poll() is None
        os.kill(reader.pid, signal.SIGKILL)
        reader.wait(10)
    assert run(CONSUMER, tmp_path / 'spool', tmp_path / 'read-last').wait(60) == 0
    read = [int(word) for log in tmp_path.glob('read-*') for word in log.read_text().split()]
    assert len(read) == len(set(read))
    assert 597 <= len(read) <= 600
