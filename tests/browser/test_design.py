"""Every page at the width of a phone and of a desk, light and dark: nothing overflows, and it is
accessible."""

from __future__ import annotations

import pytest

from recognition.datasets import projects
from recognition.models import Job
from recognition.serving import publishing
from tests.support.reported_project import (
    LONG_NAME,
    MALICIOUS_NAME,
    add_photos,
    create_reported_model,
    create_source,
)

pytestmark = [pytest.mark.browser, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def labelled(project, alice):
    add_photos(project, alice, ['daisy', 'rose'] * 4)
    return project


@pytest.fixture
def image(labelled):
    return labelled.images.filter(label__name='daisy').first()


@pytest.fixture
def job(labelled, alice):
    return Job.objects.create(project=labelled, created_by=alice)


@pytest.fixture
def addresses(labelled, image, job, tmp_path, alice, bob, charlie):
    """Every page, with names that try to break it."""
    projects.rename_project(labelled, LONG_NAME[:120])
    labelled.images.filter(pk=image.pk).update(name=f'{LONG_NAME}.jpg')
    add_photos(labelled, alice, [None, MALICIOUS_NAME, LONG_NAME[:120]], start=50)
    create_source(tmp_path)
    model = create_reported_model(labelled, job, image)
    publishing.publish(model, 'flowers', alice)
    running = projects.create_project(bob, 'Running')
    return {
        'login': '/login/',
        'projects': '/',
        'project': f'/projects/{labelled.pk}/',
        'members': f'/projects/{labelled.pk}/members/',
        'class': f'/projects/{labelled.pk}/classes/{image.label_id}/',
        'unlabelled': f'/projects/{labelled.pk}/classes/none/',
        'image': f'/projects/{labelled.pk}/images/{image.pk}/',
        'training': f'/trainings/{job.pk}/',
        'model': f'/models/{model.pk}/',
        'keys': '/keys/',
        'zoo': '/zoo/',
        'help': '/help/',
        'password': '/password/',
        'missing': f'/projects/{running.pk}/',
    }


def open_windows(page_of, alice, **options):
    """One for a person who is signed in and one for nobody."""
    return {True: page_of(alice, **options), False: page_of(None, **options)}


def test_nothing_overflows_on_a_phone(page_of, alice, charlie, addresses, node_modules):
    windows = open_windows(page_of, alice, width=360)
    sticking = {}
    for name, address in addresses.items():
        page = windows[name != 'login']
        page.goto(address)
        if (over := page.evaluate('document.documentElement.scrollWidth - innerWidth')) > 0:
            sticking[name] = over
    first_visit = page_of(charlie, width=360)
    first_visit.goto('/')
    assert first_visit.evaluate('document.documentElement.scrollWidth - innerWidth') <= 0
    assert sticking == {}


@pytest.mark.parametrize('scheme', ['light', 'dark'])
def test_every_page_is_accessible(page_of, alice, addresses, node_modules, scheme):
    axe = (node_modules / 'axe-core' / 'axe.min.js').read_text()
    windows = open_windows(page_of, alice, color_scheme=scheme, reduced_motion='reduce')
    found = []
    for name, address in addresses.items():
        page = windows[name != 'login']
        page.goto(address)
        page.evaluate(axe)
        result = page.evaluate(
            "() => axe.run({ runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'best-practice'] })"
        )
        found += [
            f'{name}: {rule["id"]} {node["target"]} {node["any"][0]["message"] if node["any"] else ""}'
            for rule in result['violations']
            for node in rule['nodes']
        ]
    assert found == []


def test_a_user_signs_in_by_keyboard_alone(page_of, alice):
    page = page_of(None)
    page.goto('/login/')
    page.keyboard.type('alice')
    page.keyboard.press('Tab')
    page.keyboard.type('alice-password')
    page.keyboard.press('Enter')
    page.get_by_role('heading', name='Train your first model').wait_for()
    page.keyboard.press('Tab')
    assert page.evaluate('document.activeElement.textContent') == 'Skip to the content'
