"""The administrators' page that shows how well sources are chosen."""

from __future__ import annotations

import re

import pytest
from django.urls import reverse

from recognition.admin import plots
from recognition.zoo import benchmark_results
from tests.support.benchmark_records import write_evaluation

pytestmark = pytest.mark.django_db
ADDRESS = 'admin:recognition_sourcemodel_evidence'


def words(answer):
    return re.sub(r'\s+', ' ', re.sub(r'<[^>]+>', ' ', answer.content.decode())).replace(
        '\N{NO-BREAK SPACE}', ' '
    )


def test_before_the_first_evaluation_the_page_says_how_to_make_one(keeper):
    page = words(keeper.get(reverse(ADDRESS)))
    assert 'Nothing was evaluated on this installation yet' in page
    assert 'manage.py zoo evaluate FOLDER' in page


def test_the_newest_evaluation_is_shown_as_tables_and_plots(keeper, tmp_path):
    benchmark_results.compare_rules(write_evaluation(tmp_path / 'recorded'))
    answer = keeper.get(reverse(ADDRESS))
    page = words(answer)
    for told in (
        '4 sources on 3 sets',
        'P2L 1.5 : 1',
        'oracle',
        'LogME',
        'Trainings use likeness : size = 1.5 : 1',
    ):
        assert told in page
    assert answer.content.count(b'class="dot"') == 17
    assert answer.content.count(b'<rect') == 12


def test_the_list_of_sources_leads_to_it(keeper):
    assert (
        reverse(ADDRESS) in keeper.get(reverse('admin:recognition_sourcemodel_changelist')).content.decode()
    )


def test_nobody_but_who_may_see_sources_sees_it(client, django_user_model):
    assert client.get(reverse(ADDRESS)).status_code == 302
    client.force_login(django_user_model.objects.create_user('desk', password='desk-password', is_staff=True))
    assert client.get(reverse(ADDRESS)).status_code == 403


def test_a_source_is_as_warm_as_it_comes_near_the_best_of_its_row():
    result = {
        'targets': [{'name': 't'}],
        'sources': [{'name': name} for name in 'abcd'],
        'accuracy': [[0.8, 0.79, None, 0.4]],
    }
    found = plots.heat_map(result)
    assert [(cell.source, cell.heat, cell.best) for cell in found.cells] == [
        ('a', 5, True),
        ('b', 4, False),
        ('d', 0, False),
    ]


def test_regrets_lie_on_one_scale_from_nought_to_the_largest_bound():
    rules = [
        {'name': 'random', 'regret': {'mean': 0.1, 'low': 0.05, 'high': 0.2}},
        {'name': 'P2L, shortlist of 3, probe', 'regret': {'mean': 0.0, 'low': 0.0, 'high': 0.0}},
    ]
    found = plots.regrets(rules)
    assert found.bars[0].high == plots.NAMES + plots.PLOT
    assert found.bars[1].x == found.origin
    assert [bar.ours for bar in found.bars] == [False, True]
    assert [tick.value for tick in found.ticks] == [0, 0.05, 0.1, 0.15, 0.2]
