"""The list of projects, the page of one, and its members."""

from __future__ import annotations

import html
import re

import pytest

from recognition.datasets import projects
from recognition.models import Membership, Project
from recognition.training.readiness import check_readiness
from tests.support.page_text import visible_text
from tests.support.reported_project import MALICIOUS_NAME, add_photos


def test_the_first_visit_invites_to_drop_a_zip_right_there(browser):
    page = browser.get('/').content.decode()
    assert 'Drop a zip or a folder of labelled photos' in page
    assert 'data-create="/api/v1/projects"' in page


def test_the_list_shows_ones_own_projects_only(browser, browser_of, labelled, charlie):
    assert '8 photos in 2 classes' in visible_text(browser.get('/'))
    assert 'Flowers' not in visible_text(browser_of(charlie).get('/'))


def test_the_list_takes_the_same_number_of_queries_for_many_projects(
    browser, labelled, alice, django_assert_max_num_queries
):
    for number in range(5):
        add_photos(projects.create_project(alice, f'Number {number}'), alice, ['a', 'b'], start=100)
    with django_assert_max_num_queries(8):
        browser.get('/')


def test_a_project_is_made_by_its_name(browser, alice):
    answer = browser.post('/projects/create/', {'name': 'Screws'})
    made = Project.objects.visible_to(alice).get()
    assert (made.name, answer.url) == ('Screws', f'/projects/{made.pk}/')


def test_a_project_without_a_name_is_refused_in_words(browser):
    answer = browser.post('/projects/create/', {'name': '  '}, follow=True)
    assert 'name must not be empty' in visible_text(answer)
    assert not Project.objects.exists()


def test_the_page_counts_and_warns_in_words(browser, labelled):
    page = visible_text(browser.get(f'/projects/{labelled.pk}/'))
    assert '8 photos, 2 classes' in page
    assert '“daisy” has only 4 images' in page


def test_an_empty_project_cannot_be_trained_and_a_ready_one_can(browser, project, alice):
    def button() -> str:
        return re.search(
            r'<button[^>]*class="train-button"[^>]*>',
            browser.get(f'/projects/{project.pk}/').content.decode(),
        )[0]

    assert 'disabled' in button()
    add_photos(project, alice, ['daisy', 'rose'] * 4)
    assert 'disabled' not in button()


def test_the_page_says_what_is_missing_for_a_training(browser, project, alice):
    add_photos(project, alice, ['daisy'] * 4 + ['rose'])
    page = visible_text(browser.get(f'/projects/{project.pk}/'))
    assert check_readiness(project).missing[0] in page


def test_photos_without_a_class_come_first_and_lead_to_where_they_are_labelled(browser, project, alice):
    add_photos(project, alice, [None, None, 'rose'])
    page = browser.get(f'/projects/{project.pk}/').content.decode().split('id="classes"')[1]
    assert page.index('Without a class') < page.index('rose')
    assert f'/projects/{project.pk}/classes/none/' in page


def test_a_viewer_sees_no_button_that_would_be_refused(browser_of, viewer, labelled, model):
    page = browser_of(viewer).get(f'/projects/{labelled.pk}/').content.decode()
    assert 'id="drop"' not in page
    assert '/train/' not in page
    assert '/publish/' not in page
    assert 'id="try"' in page


@pytest.mark.parametrize('field', ['project', 'class', 'file'])
def test_markup_in_names_is_shown_and_never_run(browser, project, alice, field):
    if field == 'project':
        projects.rename_project(project, MALICIOUS_NAME)
    add_photos(project, alice, [MALICIOUS_NAME if field == 'class' else 'rose'])
    project.images.update(name=MALICIOUS_NAME if field == 'file' else 'a.jpg')
    image = project.images.get()
    for address in (
        '/',
        f'/projects/{project.pk}/',
        f'/projects/{project.pk}/classes/{image.label_id}/',
        f'/projects/{project.pk}/images/{image.pk}/',
    ):
        page = browser.get(address).content.decode()
        assert '<img src=x' not in page
    assert html.escape(MALICIOUS_NAME) in page or field == 'project'


def test_renaming_and_deleting(browser, project):
    browser.post(f'/projects/{project.pk}/rename/', {'name': 'Roses'})
    project.refresh_from_db()
    assert project.name == 'Roses'
    answer = browser.post(f'/projects/{project.pk}/delete/', follow=True)
    assert 'The project “Roses” was deleted.' in visible_text(answer)
    assert browser.get(f'/projects/{project.pk}/').status_code == 404


def test_an_owner_lets_a_person_in_by_name(browser, browser_of, project, charlie):
    answer = browser.post(
        f'/projects/{project.pk}/members/add/', {'username': 'charlie', 'role': 'viewer'}, follow=True
    )
    assert 'charlie was added to the project.' in visible_text(answer)
    assert Membership.objects.get(project=project, user=charlie).role == 'viewer'
    assert browser_of(charlie).get(f'/projects/{project.pk}/').status_code == 200


def test_an_unknown_user_name_is_refused_on_the_members_page(browser, project):
    address = f'/projects/{project.pk}/members/'
    answer = browser.post(
        f'{address}add/',
        {'username': 'nobody', 'role': 'viewer'},
        follow=True,
        headers={'referer': f'http://testserver{address}'},
    )
    assert 'There is no user of that name.' in visible_text(answer)


def test_the_last_owner_stays(browser, project, alice):
    answer = browser.post(f'/projects/{project.pk}/members/remove/', {'username': 'alice'}, follow=True)
    assert 'A project needs an owner.' in visible_text(answer)
    assert Membership.objects.filter(project=project, user=alice).exists()


def test_a_refused_form_never_leads_to_another_site(browser, project):
    answer = browser.post(
        f'/projects/{project.pk}/rename/', {'name': ''}, headers={'referer': 'https://evil.example/'}
    )
    assert answer.url == '/'
