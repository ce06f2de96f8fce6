"""A real browser: Chromium from the system's packages, driven by Playwright, against the live server."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from django.conf import settings as django_settings
from django.test import Client

from tests.support import sealed_classifier
from tests.support.browser_waits import PATIENCE
from tests.support.model_rows import publish_version

CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser') or shutil.which('google-chrome')
FLAGS = [
    '--no-sandbox',  # the tests may run as root
    '--disable-dev-shm-usage',
    '--disable-background-networking',
    '--disable-component-update',
    '--no-first-run',
    '--use-fake-ui-for-media-stream',
    '--use-fake-device-for-media-stream',
]


@pytest.fixture(scope='session')
def chromium():
    if CHROMIUM is None:
        if os.environ.get('REQUIRE_SERVICES'):
            pytest.fail('REQUIRE_SERVICES is set but there is no Chromium')
        pytest.skip('needs Chromium (apt-get install chromium)')
    from playwright.sync_api import expect, sync_playwright

    expect.set_options(timeout=PATIENCE)

    # Playwright keeps an event loop in this thread until the end; Django would refuse the thread its rows
    # meanwhile.
    os.environ['DJANGO_ALLOW_ASYNC_UNSAFE'] = '1'
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield running
        running.close()
    del os.environ['DJANGO_ALLOW_ASYNC_UNSAFE']


@pytest.fixture
def page_of(chromium, live_server):
    """Opens a window for a person who is signed in. Errors and refusals of the content policy fail the
    test."""
    contexts, complaints = [], []

    def open_for(user, width: int = 1280, **options):
        context = chromium.new_context(
            viewport={'width': width, 'height': 900}, base_url=live_server.url, **options
        )
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        if user is not None:
            client = Client()
            client.force_login(user, backend='django.contrib.auth.backends.ModelBackend')
            context.add_cookies(
                [{'name': 'sessionid', 'value': client.cookies['sessionid'].value, 'url': live_server.url}]
            )
        page = context.new_page()
        page.on('pageerror', lambda error: complaints.append(str(error)))
        page.on(
            'console',
            lambda message: (
                complaints.append(message.text) if 'Content Security Policy' in message.text else None
            ),
        )
        return page

    yield open_for
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def node_modules() -> Path:
    if not django_settings.FRONT_END_PACKAGES.is_dir():
        pytest.skip('needs the front-end packages (make setup)')
    return django_settings.FRONT_END_PACKAGES


@pytest.fixture(scope='session')
def artifact(tmp_path_factory):
    return sealed_classifier.seal(tmp_path_factory.mktemp('models') / 'colours')


@pytest.fixture
def model(project, artifact):
    """A model of alice's that tells blue, green and red pictures."""
    return publish_version(project, artifact, 1)
