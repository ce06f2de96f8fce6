"""Starting a training from the page, its options, its page, and stopping it."""

from __future__ import annotations

import pytest

from recognition.models import Job
from recognition.pages.forms import TrainingForm
from tests.support.page_text import visible_text

ADVANCED = {
    'source': 'auto',
    'plan': 'auto',
    'epochs': '0',
    'seed': '0',
    'crop': '0.6',
    'jitter': '0.2',
    'lighting': '0',
    'flip': 'on',
    'rates': '',
}


def options(**changed: str) -> dict:
    form = TrainingForm({**ADVANCED, **changed}, task='classification', sources=[('graft-leaf', 'Leaves')])
    assert form.is_valid(), form.errors
    return form.get_options()


def test_options_left_as_they_are_say_nothing():
    assert options() == {}
    form = TrainingForm({}, task='classification', sources=[])
    assert form.is_valid()
    assert form.get_options() == {}


def test_only_options_that_were_changed_are_listed():
    assert options(source='graft-leaf', epochs='7') == {'source': 'graft-leaf', 'epochs': 7}


def test_a_box_that_was_unticked_is_a_choice():
    form = TrainingForm(
        {name: value for name, value in ADVANCED.items() if name != 'flip'}, task='classification', sources=[]
    )
    assert form.is_valid()
    assert form.get_options() == {'flip': False}


def test_rates_are_read_line_by_line():
    assert options(rates='head: 0.01\n\nstage1: 0') == {'rates': {'head': 0.01, 'stage1': 0.0}}


@pytest.mark.parametrize('rates', ['head', 'head: fast', ': '])
def test_a_rate_that_is_no_number_is_refused(rates):
    form = TrainingForm({**ADVANCED, 'rates': rates}, task='classification', sources=[])
    assert not form.is_valid()
    assert 'does not have the form “group: learning rate”' in str(form.errors['rates'])


@pytest.mark.django_db
class TestPages:
    def test_the_button_queues_a_training_with_the_chosen_options(
        self, browser, labelled, source, alice, settings
    ):
        settings.P2L_REFERENCE = source.name
        browser.post(f'/projects/{labelled.pk}/train/', {**ADVANCED, 'epochs': '3', 'source': 'graft-leaf'})
        job = Job.objects.get()
        assert (job.created_by, job.state) == (alice, 'queued')
        assert (job.spec['epochs'], job.spec['source'], job.spec['flip']) == (3, 'graft-leaf', True)

    def test_a_source_that_does_not_exist_is_refused_in_words(self, browser, labelled):
        answer = browser.post(
            f'/projects/{labelled.pk}/train/',
            {**ADVANCED, 'source': 'nonsense'},
            headers={'referer': f'http://testserver/projects/{labelled.pk}/'},
            follow=True,
        )
        assert 'Base model: Select a valid choice' in visible_text(answer)
        assert not Job.objects.exists()

    def test_a_project_that_is_not_ready_says_what_is_missing(self, browser, project):
        answer = browser.post(
            f'/projects/{project.pk}/train/',
            follow=True,
            headers={'referer': f'http://testserver/projects/{project.pk}/'},
        )
        assert 'Label images of at least 2 classes' in visible_text(answer)

    def test_while_it_runs_the_page_follows_it_and_offers_no_second_one(self, browser, job, labelled):
        page = browser.get(f'/projects/{labelled.pk}/').content.decode()
        assert f'data-status="/api/v1/trainings/{job.pk}"' in page
        assert 'id="train-form"' not in page

    def test_its_page_lists_its_events(self, browser, job):
        job.claim('worker one')
        job.fail(job.attempt, 'out_of_memory', 'The photos did not fit into memory.')
        page = visible_text(browser.get(f'/trainings/{job.pk}/'))
        assert 'The photos did not fit into memory.' in page
        assert 'claimed by worker one' in page

    def test_a_waiting_training_is_stopped_at_once(self, browser, job):
        browser.post(f'/trainings/{job.pk}/cancel/')
        job.refresh_from_db()
        assert job.state == 'cancelled'

    def test_a_failed_training_is_shown_on_the_project_page(self, browser, job, labelled):
        job.claim('worker one')
        job.fail(job.attempt, 'unusable_source', 'The weights are damaged.')
        assert 'The last training failed: The weights are damaged.' in visible_text(
            browser.get(f'/projects/{labelled.pk}/')
        )
