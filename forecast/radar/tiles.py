"""A national grid on many workers: the same nowcast, tile by tile, by Dask.

What must be one for the whole grid is small or cheap: the motion (on every eighth cell), how long
today's rain lives, and the order of the cells by rain at the end. Filtering and carrying, the
bulk, is done per tile with a border as wide as the rain can come from. Carrying is then the same
as on the whole grid; filtering differs by what waves longer than the border add at its edge.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import dask.array
import numpy as np
from dask.delayed import delayed

from forecast.radar.extrapolation import carry, paths
from forecast.radar.frames import Floats, Recent
from forecast.radar.image import CELL
from forecast.radar.law import Law
from forecast.radar.motion import Motion
from forecast.radar.scales import Scales, matched

TILE: Final = 512
BORDER: Final = 160
"""Cells of a tile and round it; multiples of the cells of the motion."""


@dataclass(frozen=True, slots=True)
class Tile:
    """A part of the grid: with its border (outer), and where the tile itself lies in that."""

    outer: tuple[slice, slice]
    inner: tuple[slice, slice]

    def motion(self, motion: Motion) -> Motion:
        """Cut the motion of the outer part."""
        return replace(motion, velocity=self.paths(motion.velocity))

    def paths(self, way: Floats) -> Floats:
        """Cut paths, or a motion, of the outer part."""
        rows, columns = (slice(s.start // CELL, -(-s.stop // CELL)) for s in self.outer)
        return np.ascontiguousarray(way[:, rows, columns])


def layout(shape: tuple[int, ...], *, tile: int = TILE, border: int = BORDER) -> list[list[Tile]]:
    """Cut a grid into rows of tiles. Raises ValueError unless both are multiples of `CELL`."""
    if tile % CELL or border % CELL:
        raise ValueError(f"tile and border are multiples of {CELL} cells")
    sides = []
    for length in shape:
        starts = range(0, length, tile)
        side = []
        for start in starts:
            stop = min(start + tile, length)
            outer = slice(max(start - border, 0), min(stop + border, length))
            side.append((outer, slice(start - outer.start, stop - outer.start)))
        sides.append(side)
    return [
        [Tile((row[0], column[0]), (row[1], column[1])) for column in sides[1]] for row in sides[0]
    ]


def carried(
    field: Floats,
    motion: Motion,
    lead: float,
    *,
    steering: float = np.inf,
    tile: int = TILE,
    border: int = BORDER,
) -> Any:
    """Give a Dask array of the field carried by ``lead`` minutes, tile by tile.

    Raises ValueError where rain comes from farther than the border.
    """
    way = _ways(motion, [lead], steering, border)[0]

    def work(part: Tile) -> Floats:
        return carry(field[part.outer], part.paths(way))[part.inner]

    return _blocks(layout(field.shape, tile=tile, border=border), work)


def nowcast(
    recent: Recent,
    motion: Motion,
    leads: Sequence[float],
    *,
    life: float,
    law: Law | None = None,
    tile: int = TILE,
    border: int = BORDER,
) -> Iterator[Any]:
    """Give the rain (mm/h) at each lead as a delayed value; `dask.compute` them on any scheduler.

    life: how much longer than usual today's rain lives, from `Scales` of a part of the grid or of
    the run before. Raises ValueError where rain comes from farther than the border.
    """
    law = law or Law.load()
    ways = _ways(motion, leads, law.steering, border)
    tiles = layout(recent.newest.shape, tile=tile, border=border)
    taken = [[delayed(_apart)(recent, part, motion, law, life) for part in r] for r in tiles]
    rain = _joined(
        [
            [_field(scales, part) for scales, part in zip(*pair, strict=True)]
            for pair in zip(taken, tiles, strict=True)
        ]
    )
    for lead, way in zip(leads, ways, strict=True):
        scores = [
            [delayed(_kept)(scales, part, lead, way) for scales, part in zip(*pair, strict=True)]
            for pair in zip(taken, tiles, strict=True)
        ]
        yield delayed(_matched)(_joined(scores), rain)


def _apart(recent: Recent, part: Tile, motion: Motion, law: Law, life: float) -> Scales:
    cut = replace(recent, fields=recent.fields[(slice(None), *part.outer)])
    return Scales.of(cut, motion=part.motion(motion), law=law, life=life)


def _field(scales: Any, part: Tile) -> Any:
    return delayed(lambda taken: taken.rain[None][(slice(None), *part.inner)])(scales)


def _kept(scales: Scales, part: Tile, lead: float, way: Floats) -> Floats:
    path = part.paths(way)
    return np.stack([carry(kept, path, rim=True)[part.inner] for kept in scales.kept(lead)])


def _joined(parts: list[list[Any]]) -> Any:
    return delayed(lambda rows: np.block([[*row] for row in rows]))(parts)


def _matched(scores: Floats, rain: Floats) -> Floats:
    return matched(scores[0], scores[1], rain[0], np.isfinite(rain[0]))


def _ways(motion: Motion, leads: Sequence[float], steering: float, border: int) -> list[Floats]:
    ways = paths(motion, leads, steering=steering)
    farthest = max(float(np.abs(way).max()) for way in ways)
    if farthest > border - 2 * CELL:
        raise ValueError(f"rain comes from {farthest:.0f} cells away: widen the border of {border}")
    return ways


def _blocks(tiles: list[list[Tile]], work: Callable[[Tile], Floats]) -> Any:
    def size(part: Tile) -> tuple[int, ...]:
        return tuple(side.stop - side.start for side in part.inner)

    arrays: Any = dask.array
    return arrays.block(
        [
            [arrays.from_delayed(delayed(work)(part), size(part), np.float32) for part in row]
            for row in tiles
        ]
    )
