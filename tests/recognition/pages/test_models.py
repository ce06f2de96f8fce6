"""The report of a model, publishing it and going back."""

from __future__ import annotations

import html
import re

import pytest

from recognition.models import Publication, TrainedModel
from tests.support.page_text import visible_text
from tests.support.reported_project import MALICIOUS_NAME


def test_the_report_shows_every_number_with_its_uncertainty(browser, model):
    page = visible_text(browser.get(f'/models/{model.pk}/')).replace('\N{NO-BREAK SPACE}', ' ')
    for text in (
        '90.0 %',
        '95 % interval 80.0 % to 95.0 %, n = 40',
        'The finetuned network was kept',
        'It got four more photos right.',
        'graft-leaf chosen 0.123 2400 1.50 87 %',
        'graft-blood 3.210 900 -1.50 13 % not probed',
        'stage1 frozen head 0.01',
        'Temperature 1.40; expected calibration error 8.0 % before, 3.0 % after',
        'Runs as openvino',
        'The batch was halved to 16.',
        'finetune 3.0 s',
    ):
        assert text in page


def test_intervals_are_drawn_and_read_out(browser, model):
    page = browser.get(f'/models/{model.pk}/').content.decode().replace('\N{NO-BREAK SPACE}', ' ')
    assert 'aria-label="recall 95.0 %, 95 % interval 76.0 % to 99.0 %"' in page
    assert 'aria-label="probe accuracy 85.0 %, 95 % interval 70.0 % to 93.0 %"' in page


def test_the_wrong_photos_are_shown_the_surest_first_and_a_deleted_one_is_named(browser, model, image):
    page = browser.get(f'/models/{model.pk}/').content.decode()
    assert page.index('gone.jpg') < page.index(f'/images/{image.pk}/thumbnail')
    assert 'gone.jpg (deleted)' in visible_text(browser.get(f'/models/{model.pk}/'))


def test_markup_in_a_class_name_is_shown_and_never_run(browser, model):
    page = browser.get(f'/models/{model.pk}/').content.decode()
    assert '<img src=x' not in page
    assert page.count(html.escape(MALICIOUS_NAME)) > 3


def test_a_model_of_which_nothing_was_measured_has_a_page(browser, labelled):
    bare = TrainedModel.objects.create(
        project=labelled,
        version=9,
        artifact='bare',
        digest='0' * 64,
        labels=['a', 'b'],
        images=8,
        provisional=True,
    )
    page = visible_text(browser.get(f'/models/{bare.pk}/'))
    assert 'Version 9' in page
    assert 'provisional' in page


def test_publishing_names_the_model_and_the_page_gives_the_lines_that_call_it(browser, model, labelled):
    answer = browser.post(f'/models/{model.pk}/publish/', {'name': 'my-flowers'}, follow=True)
    page = visible_text(answer)
    assert '“my-flowers” now uses version 1.' in page
    assert "'http://testserver/api/v1/models/my-flowers/classify?top=3'" in page
    assert 'import requests' in page


@pytest.mark.parametrize('name', ['', 'has spaces', 'ünïcode', 'x' * 81])
def test_a_name_that_cannot_be_called_is_refused_in_words(browser, model, name):
    answer = browser.post(f'/models/{model.pk}/publish/', {'name': name}, follow=True)
    assert re.search('A name (may only contain letters|has at most 80)', visible_text(answer))
    assert not Publication.objects.exists()


def test_a_published_name_goes_back_to_the_version_before(browser, model, labelled):
    second = TrainedModel.objects.create(
        project=labelled,
        version=2,
        artifact='two',
        digest='1' * 64,
        labels=['a', 'b'],
        images=8,
        accuracy=0.5,
    )
    for one in (model, second):
        browser.post(f'/models/{one.pk}/publish/', {'name': 'flowers'})
    publication = Publication.objects.get()
    assert 'Roll back' in visible_text(browser.get(f'/projects/{labelled.pk}/'))
    answer = browser.post(f'/publications/{publication.pk}/rollback/', follow=True)
    assert '“flowers” was rolled back to version 1.' in visible_text(answer)
    publication.refresh_from_db()
    assert publication.model == model
    assert 'Roll back' not in visible_text(answer)


def test_an_unpublished_name_is_free_again(browser, model):
    browser.post(f'/models/{model.pk}/publish/', {'name': 'flowers'})
    answer = browser.post(f'/publications/{Publication.objects.get().pk}/unpublish/', follow=True)
    assert '“flowers” was unpublished.' in visible_text(answer)
    assert not Publication.objects.exists()


def test_the_report_shows_the_forecast_and_what_more_photos_would_add(browser, model):
    page = visible_text(browser.get(f'/models/{model.pk}/')).replace('\N{NO-BREAK SPACE}', ' ')
    assert '80 % to 94 %' in page
    assert 'fitted on 6 other data sets. Measured accuracy: 90.0 %' in page
    assert '40 more photos would add about 3.0 percentage points (95 % interval 0.0 to 7.0)' in page
    assert 'aria-label="expected accuracy' in browser.get(f'/models/{model.pk}/').content.decode()
