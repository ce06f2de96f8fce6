"""Align pairs of thumbnails by an affine map and measure how alike they are then.

Gauss-Newton on the squared difference with gain and offset projected out, from coarse to fine: Lucas and
Kanade (1981) in the inverse compositional form of Baker and Matthews (2004), all pairs of a block at once.
Coordinates are torch's: -1 to 1 from edge to edge.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

SIDE = 64  # pixels of a thumbnail; 8 levels of JPEG noise average out over the 12 x 12 of a 768 pixel photo
SIDES = (16, 32, SIDE)
STEPS = (8, 6, 3)  # Gauss-Newton steps on each
# A pair that is so far below the bar at a side is not looked at more finely.
GIVE_UP = (0.1, 0.0)
# The disk that is compared, 1 touches the edges: a rotation by 10 degrees brings black corners outside of it.
RADIUS = 0.85
# Where the descent starts: rotations (degrees) and scales. It converges over half such a step.
ROTATIONS = (-8.0, 0.0, 8.0)
SCALES = (0.84, 1.0, 1.19)
LEAST_OVERLAP = 0.5  # of the disk
AREAS = (0.4, 2.5)  # by which an affine map may shrink or enlarge
DAMPING = 1e-3  # of the Hessian's diagonal: a straight line does not say where along it the other one lies
LONGEST_STEP = 0.3  # of an entry of the map
BLOCK = 512  # pairs at once: 100 MB


@dataclass(frozen=True)
class Pyramid:
    """Thumbnails of n images at each of SIDES, float (n, side, side), mean 0 and deviation 1."""

    levels: tuple[Tensor, ...]

    def mirror(self) -> Pyramid:
        return Pyramid(tuple(level.flip(2) for level in self.levels))


def build_pyramid(thumbnails: Tensor) -> Pyramid:
    """From gray thumbnails, float (n, SIDE, SIDE)."""
    levels = [_smooth(thumbnails)]
    while levels[0].shape[1] > SIDES[0]:
        levels.insert(0, functional.avg_pool2d(levels[0][:, None], 2)[:, 0])
    return Pyramid(tuple(_normalise(level) for level in levels))


def compare_aligned(
    first: Pyramid, second: Pyramid, rows: Tensor, columns: Tensor, bar: float = -1.0
) -> Tensor:
    """The correlation of the gradients of `first[rows]` with those of `second[columns]` once the second is
    aligned: float (pairs,), 1 for equal images; 0 where no plausible alignment was found, or where it is
    plainly below `bar`.

    Gradients, because two bright spots on a dark ground are alike in their gray levels already. `rows`
    ascending are faster.
    """
    if not len(rows):  # an empty tensor splits into one empty block
        return torch.zeros(0)
    blocks = zip(rows.split(BLOCK), columns.split(BLOCK), strict=True)
    return torch.cat([_compare_block(first, second, some, others, bar) for some, others in blocks])


def _compare_block(first: Pyramid, second: Pyramid, rows: Tensor, columns: Tensor, bar: float) -> Tensor:
    scores, kept = torch.zeros(len(rows)), torch.arange(len(rows))
    maps = _find_start(first.levels[0][rows], second.levels[0][columns])
    for level, give_up in enumerate(GIVE_UP):
        if not len(kept):
            return scores
        images = second.levels[level][columns[kept]]
        maps = _descend(first.levels[level], rows[kept], images, maps, STEPS[level])
        going_on = _compare_warped(first.levels[level][rows[kept]], images, maps) >= bar - give_up
        kept, maps = kept[going_on], maps[going_on]
    if len(kept):
        templates, images = first.levels[-1], second.levels[-1][columns[kept]]
        scores[kept] = _compare_warped(templates[rows[kept]], images, maps)
        unsure = torch.nonzero(scores[kept] < bar)[:, 0]  # the only ones that the finest steps can help
        if len(unsure):
            own = rows[kept[unsure]]
            finer = _descend(templates, own, images[unsure], maps[unsure], STEPS[-1])
            scores[kept[unsure]] = _compare_warped(templates[own], images[unsure], finer)
    return scores


def _compare_warped(templates: Tensor, images: Tensor, maps: Tensor) -> Tensor:
    warped, seen = _warp(images, maps)
    alike = _correlate_gradients(templates, warped, seen)
    return torch.where(_is_plausible(maps, seen), alike, torch.zeros(()))


def _find_start(template: Tensor, image: Tensor) -> Tensor:
    """The best of the starting maps for each pair, (pairs, 2, 3)."""
    angles = torch.deg2rad(torch.tensor(ROTATIONS))
    starts = [
        torch.stack([cos, -sin, zero, sin, cos, zero]).reshape(2, 3)
        for scale in SCALES
        for cos, sin, zero in zip(scale * angles.cos(), scale * angles.sin(), 0 * angles, strict=True)
    ]
    best, maps = torch.full((len(image),), -2.0), starts[0].repeat(len(image), 1, 1)
    for start in starts:
        alike = _correlate_gradients(template, *_warp(image, start.expand(len(image), 2, 3)))
        better = alike > best
        best, maps = torch.where(better, alike, best), torch.where(better[:, None, None], start, maps)
    return maps


def _descend(templates: Tensor, rows: Tensor, image: Tensor, maps: Tensor, steps: int) -> Tensor:
    unique, place = rows.unique(return_inverse=True)
    solver, template = _solve(templates[unique])[place], templates[rows]
    for _ in range(steps):
        warped, seen = _warp(image, maps)
        error = ((warped - template) * seen).reshape(len(rows), -1, 1)
        step = (solver @ error)[:, :6, 0].reshape(-1, 2, 3).clamp(-LONGEST_STEP, LONGEST_STEP)
        maps = (_square(maps) @ torch.linalg.inv(_square(step + torch.eye(2, 3))))[:, :2].clamp(-2, 2)
    return maps


def _solve(templates: Tensor) -> Tensor:
    """What turns the difference of an image to each template into a step: float (n, 8, pixels)."""
    count, side, _ = templates.shape
    x, y = _grid(side)
    dx, dy = (side / 2 * gradient for gradient in _gradients(templates))
    # The last two let gain and offset differ.
    columns = torch.stack([dx * x, dx * y, dx, dy * x, dy * y, dy, templates, torch.ones_like(templates)], 1)
    columns = (columns * _disk(side)).reshape(count, 8, -1)
    hessian = columns @ columns.transpose(1, 2)
    damping = torch.diag_embed(DAMPING * hessian.diagonal(dim1=1, dim2=2) + 1e-6)
    return torch.linalg.solve(hessian + damping, columns)


def _square(maps: Tensor) -> Tensor:
    last = torch.tensor([[[0.0, 0.0, 1.0]]]).expand(len(maps), 1, 3)
    return torch.cat([maps, last], 1)


def _is_plausible(maps: Tensor, seen: Tensor) -> Tensor:
    area = maps[:, 0, 0] * maps[:, 1, 1] - maps[:, 0, 1] * maps[:, 1, 0]
    overlap = seen.sum((1, 2)) / _disk(seen.shape[1]).sum()
    return (area > AREAS[0]) & (area < AREAS[1]) & (overlap >= LEAST_OVERLAP)


def _warp(images: Tensor, maps: Tensor) -> tuple[Tensor, Tensor]:
    """The images seen through the maps, and where in the disk they have pixels, 0 or 1."""
    count, side, _ = images.shape
    grid = functional.affine_grid(maps.contiguous(), [count, 1, side, side], align_corners=False)
    warped = functional.grid_sample(images[:, None], grid, padding_mode='border', align_corners=False)
    return warped[:, 0], (grid.abs() <= 1).all(-1).float() * _disk(side)


def _correlate_gradients(first: Tensor, second: Tensor, seen: Tensor) -> Tensor:
    # Only where both neighbours are seen: at the border of what is seen, gradients are made up.
    inside = torch.zeros_like(seen)
    inside[:, 1:-1, 1:-1] = (
        seen[:, 1:-1, 1:-1] * seen[:, 2:, 1:-1] * seen[:, :-2, 1:-1] * seen[:, 1:-1, 2:] * seen[:, 1:-1, :-2]
    )
    (x1, y1), (x2, y2) = _gradients(first), _gradients(second)

    def total(values: Tensor) -> Tensor:
        return (values * inside).sum((1, 2))

    return total(x1 * x2 + y1 * y2) / (total(x1**2 + y1**2) * total(x2**2 + y2**2)).sqrt().clamp_min(1e-6)


def _gradients(images: Tensor) -> tuple[Tensor, Tensor]:
    """Central differences along x and y, 0 at the edges."""
    dx, dy = torch.zeros_like(images), torch.zeros_like(images)
    dx[:, :, 1:-1] = (images[:, :, 2:] - images[:, :, :-2]) / 2
    dy[:, 1:-1] = (images[:, 2:] - images[:, :-2]) / 2
    return dx, dy


def _grid(side: int) -> tuple[Tensor, Tensor]:
    ticks = (torch.arange(side) + 0.5) * 2 / side - 1
    y, x = torch.meshgrid(ticks, ticks, indexing='ij')
    return x, y


def _disk(side: int) -> Tensor:
    x, y = _grid(side)
    return ((x**2 + y**2).sqrt() <= RADIUS).float()


def _smooth(images: Tensor) -> Tensor:
    weights = torch.tensor([0.25, 0.5, 0.25])
    padded = functional.pad(images[:, None], (1, 1, 1, 1), mode='replicate')
    return functional.conv2d(padded, (weights[:, None] * weights)[None, None])[:, 0]


def _normalise(images: Tensor) -> Tensor:
    centred = images - images.mean((1, 2), keepdim=True)
    # 1e-3: an even image has no gradient to compare, only noise that must not be blown up.
    return centred / (centred.std((1, 2), keepdim=True) + 1e-3)
