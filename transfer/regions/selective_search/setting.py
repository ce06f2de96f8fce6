"""Which selective search is meant: every number of it, with its source."""

from __future__ import annotations

from dataclasses import dataclass

# Similarity measures a strategy averages (Uijlings et al. 2013, section 3.2).
COLOUR, TEXTURE, SIZE, FILL = 1, 2, 4, 8
COLOUR_TEXTURE_SIZE_FILL = COLOUR | TEXTURE | SIZE | FILL
TEXTURE_SIZE_FILL = TEXTURE | SIZE | FILL


@dataclass(frozen=True)
class Setting:
    """Girshick's fast mode (rcnn/selective_search/selective_search_boxes.m), which is not OpenCV's preset of
    that name.
    """

    colours: tuple[str, ...] = ('hsv', 'lab')
    scales: tuple[int, ...] = (50, 100)  # k of the graph segmentation; its smallest region has as many pixels
    sigma: float = 0.8  # of the blur before segmentation
    strategies: tuple[int, ...] = (COLOUR_TEXTURE_SIZE_FILL, TEXTURE_SIZE_FILL)
    width: int = 500  # the image is brought to this width first; 0: left as it is
    min_side: float = 20.0  # pixels at that width; thinner boxes are dropped
    seed: int = 3  # of the random factor on the rank in the hierarchy (Uijlings et al., section 3.3)


FAST = Setting()
