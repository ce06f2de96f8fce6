"""The geometry of plots and the words of numbers."""

from __future__ import annotations

import pytest

from recognition.pages.report import charts, tables
from recognition.templatetags import graft
from tests.support.reported_project import FORECAST


def test_a_cell_is_as_hot_as_its_share_of_the_row():
    rows = charts.lay_out_confusion_matrix(['a', 'b'], [[9, 1], [0, 0]])
    assert [(cell.count, cell.heat, cell.is_correct) for row in rows for cell in row.cells] == [
        (9, 5, True),
        (1, 1, False),
        (0, 0, False),
        (0, 0, True),
    ]


def test_a_bin_of_the_reliability_diagram_stands_on_the_axis_and_reaches_its_accuracy():
    [bin] = charts.lay_out_reliability(
        {'bins': [{'low': 0.5, 'high': 0.6, 'n': 4, 'confidence': 0.55, 'accuracy': 0.75}]}
    )
    assert (bin.x, bin.right) == (120, 144)
    assert bin.y + bin.height == charts.SIDE
    assert bin.height == 0.75 * charts.SIDE
    assert charts.lay_out_reliability({}) == ()


def test_phases_follow_each_other():
    first, second = charts.lay_out_phases({'decode': 1.0, 'finetune': 3.0})
    assert (first.start, first.width, second.start, second.width) == (0, 25, 25, 75)
    assert charts.lay_out_phases({}) == ()


def test_the_table_of_sources_joins_ranking_and_probes():
    report = {
        'source': 'b',
        'ranking': [{'name': 'a', 'images': 10, 'score': 1.0}, {'name': 'b', 'images': 20, 'score': 0.5}],
        'probes': [
            {'name': 'b', 'accuracy': 0.9, 'interval': [0.8, 0.95]},
            {'name': 'c', 'accuracy': 0.1, 'interval': [0, 0.3]},
        ],
    }
    found = tables.list_candidates(report)
    assert [(row.name, row.images, row.accuracy, row.low, row.is_chosen) for row in found] == [
        ('a', 10, None, None, False),
        ('b', 20, 0.9, 0.8, True),
        ('c', None, 0.1, 0, False),
    ]


@pytest.mark.parametrize(
    ('seconds', 'words'),
    [
        (None, '–'),
        (1.25, '1.2 s'),
        (48.4, '48 s'),
        (59.7, '1 min 0 s'),
        (185, '3 min 5 s'),
        (7_800, '2 h 10 min'),
    ],
)
def test_durations_are_written_for_people(seconds, words):
    assert graft.duration(seconds) == words


def test_shares_and_rates_are_written_for_people():
    assert graft.percent(0.8731) == '87.3\N{NO-BREAK SPACE}%'
    assert graft.percent(None) == '–'
    assert (graft.learning_rate(0), graft.learning_rate(0.0003), graft.learning_rate(None)) == (
        'frozen',
        '0.0003',
        '–',
    )
    assert graft.last_part('daisy/17.jpg') == '17.jpg'


def test_the_forecast_goes_from_the_points_to_the_band_of_more_photos():
    found = charts.lay_out_forecast(FORECAST)
    assert [(point.x, point.images) for point in found.points] == [(80, 20), (160, 40)]
    assert found.lowest == 0.5
    assert found.points[1].y == pytest.approx(charts.HEIGHT * (1 - 0.7))
    assert (found.end.x, found.end.images) == (charts.WIDTH, 80)
    assert found.end.accuracy == pytest.approx(0.88)
    assert found.band.split()[0] == f'{found.points[1].x},{found.points[1].y}'


def test_without_a_gain_there_is_no_band_and_of_one_point_no_curve():
    found = charts.lay_out_forecast({**FORECAST, 'gain': None})
    assert (found.band, found.end) == ('', None)
    assert found.points[1].x == charts.WIDTH
    assert charts.lay_out_forecast({'points': FORECAST['points'][:1]}) is None
    assert charts.lay_out_forecast({}) is None
