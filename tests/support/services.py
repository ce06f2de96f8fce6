"""Servers (PostgreSQL, Redis, RabbitMQ) that some tests need, named by environment variables."""

from __future__ import annotations

import os

import pytest


def service_address(variable: str) -> str:
    """The address of a server under test; skips without one, fails when REQUIRE_SERVICES is set."""
    address = os.environ.get(variable, '')
    if not address:
        if os.environ.get('REQUIRE_SERVICES'):
            pytest.fail(f'REQUIRE_SERVICES is set but {variable} is not')
        pytest.skip(f'set {variable} to run this against a real server')
    return address
