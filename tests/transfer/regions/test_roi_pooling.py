"""Region pooling without torch gives what torchvision gives."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip('torch')
from torchvision.ops import roi_align, roi_pool

from transfer.regions.roi_pooling import pool_regions


@pytest.mark.parametrize(('align', 'theirs'), [(False, roi_pool), (True, roi_align)])
def test_it_pools_as_torchvision_does(align, theirs):
    rng = np.random.default_rng(0)
    features = rng.normal(size=(5, 12, 17)).astype(np.float32)
    corners = rng.uniform(-20, 260, (300, 2))
    regions = np.hstack([corners, corners + rng.uniform(0, 150, (300, 2))]).astype(np.float32)
    known = theirs(torch.from_numpy(features)[None], [torch.from_numpy(regions)], (4, 4), 1 / 16).numpy()
    np.testing.assert_allclose(pool_regions(features, regions, 4, 1 / 16, align=align), known, atol=1e-4)


def test_no_regions_give_nothing():
    assert pool_regions(np.zeros((3, 8, 8), np.float32), np.zeros((0, 4), np.float32), 7, 1 / 16).shape == (
        0,
        3,
        7,
        7,
    )
