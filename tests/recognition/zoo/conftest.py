from __future__ import annotations

import pytest

from tests.support.photos import draw_photo
from tests.support.weights_files import write_starter_model


@pytest.fixture
def starter(settings, tmp_path):
    """A starter zoo of two tiny networks; the first is the reference."""
    folder = tmp_path / 'starter'
    folder.mkdir()
    write_starter_model(folder, 'graft-generic')
    write_starter_model(folder, 'graft-other')
    settings.STARTER_ZOO = folder
    settings.P2L_REFERENCE = 'graft-generic'
    return folder


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / 'sources' / 'tints'
    for name, tint in (('red', (200, 40, 40)), ('blue', (40, 40, 200))):
        (folder / name).mkdir(parents=True)
        for seed in range(3):
            (folder / name / f'{seed}.jpg').write_bytes(draw_photo(seed, tint=tint))
    return folder
