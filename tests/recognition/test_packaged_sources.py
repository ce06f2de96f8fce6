"""The source that every installation starts with, from an installed package."""

from __future__ import annotations

from pathlib import Path

import pytest

from recognition import pulling, zoo
from recognition.models import SourceModel

pytestmark = pytest.mark.django_db
SOURCE = 'efficientnet_lite0_imagenet'


@pytest.fixture
def packaged(settings):
    settings.PACKAGED_SOURCES = [SOURCE]


def test_it_is_registered_once_and_what_was_removed_is_not_put_back(packaged, settings):
    assert pulling.unpack() == [f'The source model {SOURCE} is in the zoo.']
    row = zoo.find(SOURCE)
    assert (row.standing, row.classes, row.images, row.class_names[0]) == ('usable', 1000, 1_281_167, 'tench')
    assert [path.name for path in Path(settings.ZOO_DIR).iterdir()] == [Path(row.weights).name]
    assert pulling.unpack() == []
    zoo.remove(SOURCE)
    assert pulling.unpack() == []
    assert zoo.find(SOURCE).standing == 'removed'
    zoo.restore(SOURCE)
    assert [card.name for card in zoo.cards(None)] == [SOURCE]


def test_a_source_that_no_package_brings_is_told_and_nothing_else_happens(settings):
    settings.PACKAGED_SOURCES = ['owls']
    assert pulling.unpack() == [
        "The source model owls was left out: no package brings a source called 'owls'; there is " + SOURCE
    ]
    assert not SourceModel.objects.exists()
