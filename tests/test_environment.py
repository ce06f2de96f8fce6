"""The parallel processes of the tests share no broker, and what knows no server is not run against two."""

from __future__ import annotations

import pytest


@pytest.fixture
def environment(request):
    return request.config.pluginmanager.get_plugin('tests.environment')


@pytest.mark.parametrize(
    ('address', 'of_the_second_process'),
    [
        ('redis://127.0.0.1:6379/7', 'redis://127.0.0.1:6379/8'),
        ('rediss://:secret@host:6379/0', 'rediss://:secret@host:6379/1'),
        ('redis://127.0.0.1:6379', 'redis://127.0.0.1:6379/1'),
        ('amqp://guest@127.0.0.1/graft', 'amqp://guest@127.0.0.1/graft'),
    ],
)
def test_each_process_has_a_redis_database_of_its_own(environment, address, of_the_second_process):
    assert environment.choose_redis_database(address, 1) == of_the_second_process


def test_a_test_without_a_database_uses_no_services(environment, request):
    assert not environment.uses_services(request.node)


@pytest.mark.django_db
def test_a_test_with_the_mark_of_the_database_uses_services(environment, request):
    assert environment.uses_services(request.node)


def test_a_test_whose_fixture_asks_for_the_database_uses_services(environment, request, alice):
    assert environment.uses_services(request.node)
