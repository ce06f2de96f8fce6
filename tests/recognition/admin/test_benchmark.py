"""The administrators' page that shows how well sources are chosen."""

from __future__ import annotations

import dataclasses
import re

import pytest
from django.urls import reverse

from recognition.admin import plots
from recognition.zoo import benchmark_results
from recognition.zoo.selection_params import IntervalEstimate
from tests.support.benchmark_records import write_evaluation

pytestmark = pytest.mark.django_db
ADDRESS = 'admin:recognition_sourcemodel_benchmark'


@pytest.fixture
def recorded_result(tmp_path):
    return benchmark_results.compare_rules(write_evaluation(tmp_path / 'recorded'))


def words(answer):
    return re.sub(r'\s+', ' ', re.sub(r'<[^>]+>', ' ', answer.content.decode())).replace(
        '\N{NO-BREAK SPACE}', ' '
    )


def test_before_the_first_evaluation_the_page_says_how_to_make_one(keeper):
    page = words(keeper.get(reverse(ADDRESS)))
    assert 'No benchmark has been run on this installation yet' in page
    assert 'manage.py zoo benchmark FOLDER' in page


def test_the_newest_evaluation_is_shown_as_tables_and_plots(keeper, tmp_path):
    benchmark_results.compare_rules(write_evaluation(tmp_path / 'recorded'))
    answer = keeper.get(reverse(ADDRESS))
    page = words(answer)
    for told in (
        '4 source models on 3 data sets',
        'P2L 1.5 : 1',
        'oracle',
        'LogME',
        'Trainings use similarity : size = 1.5 : 1',
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


def test_a_source_is_as_warm_as_it_comes_near_the_best_of_its_row(recorded_result):
    result = dataclasses.replace(
        recorded_result,
        targets=recorded_result.targets[:1],
        accuracy=((0.8, 0.79, None, 0.4),),
    )
    heat_map = plots.plot_heat_map(result)
    names = [source.name for source in result.sources]
    assert [(cell.source, cell.heat, cell.best) for cell in heat_map.cells] == [
        (names[0], 5, True),
        (names[1], 4, False),
        (names[3], 0, False),
    ]


def test_regrets_lie_on_one_scale_from_nought_to_the_largest_bound(recorded_result):
    rule = recorded_result.rules[0]
    rules = [
        dataclasses.replace(rule, name='random', regret=IntervalEstimate(0.1, 0.05, 0.2)),
        dataclasses.replace(rule, name='P2L, shortlist of 3, probe', regret=IntervalEstimate(0.0, 0.0, 0.0)),
    ]
    plot = plots.plot_regrets(rules)
    assert plot.dots[0].high == plots.RULE_NAMES_WIDTH + plots.REGRET_WIDTH
    assert plot.dots[1].x == plot.origin
    assert [dot.is_product_rule for dot in plot.dots] == [False, True]
    assert [tick.value for tick in plot.ticks] == [0, 0.05, 0.1, 0.15, 0.2]
