"""Radar frames: rain rate in mm/h on a grid, in time; nan is what the radar does not see.

A series is an xarray DataArray (time, y, x) with x and y in km; times may have gaps, frames may
be dry, sectors may be missing. `recent` picks from it what a nowcast is made of.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import xarray as xr
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Bools = NDArray[np.bool_]

WET: Final = 0.1
"""mm/h from which it rains."""

MINUTE: Final = np.timedelta64(60_000_000_000, "ns")


@dataclass(frozen=True, slots=True)
class Recent:
    """The newest frame and those before it that can be used with it.

    time: of the newest. fields: mm/h, oldest first, (frame, y, x). ages: minutes before the
    newest, falling to 0. spacing: km from cell to cell.
    """

    time: np.datetime64
    fields: Floats
    ages: NDArray[np.float64]
    spacing: float

    @property
    def newest(self) -> Floats:
        """The newest field."""
        field: Floats = self.fields[-1]
        return field

    @property
    def seen(self) -> Bools:
        """Where the newest frame sees."""
        return np.isfinite(self.newest)

    @property
    def dry(self) -> bool:
        """Whether it rains nowhere in the newest frame."""
        return not bool((self.newest >= WET).any())


def series(
    fields: NDArray[np.floating],
    times: NDArray[np.datetime64],
    *,
    x: NDArray[np.floating],
    y: NDArray[np.floating],
    projection: str = "",
) -> xr.DataArray:
    """Make a series of rates (mm/h) with times (UTC), sorted; x and y in km.

    Of two frames of one time the later in the list is kept. Raises ValueError for a grid whose
    cells are not square.
    """
    steps = np.concatenate([np.abs(np.diff(x)), np.abs(np.diff(y))])
    if not len(steps) or steps.max() > 1.02 * steps.min():
        raise ValueError("the cells of a radar grid are square")
    stamps = times.astype("datetime64[ns]")
    _, last = np.unique(stamps[::-1], return_index=True)
    order = len(stamps) - 1 - last
    return xr.DataArray(
        np.asarray(fields, np.float32)[order],
        dims=("time", "y", "x"),
        coords={"time": stamps[order], "y": y, "x": x},
        name="rainfall_rate",
        attrs={"units": "mm h-1", "standard_name": "rainfall_rate", "projection": projection},
    )


def recent(
    frames: xr.DataArray, *, at: np.datetime64 | None = None, count: int = 3, oldest: float = 30.0
) -> Recent:
    """Pick the newest frame not after ``at`` and up to ``count - 1`` before it.

    Frames that see nothing are left out, and those more than ``oldest`` minutes before the newest.
    Raises ValueError where no frame sees anything.
    """
    times = frames["time"].to_numpy()
    wanted = np.arange(len(times)) if at is None else np.flatnonzero(times <= at)
    chosen: list[int] = []
    for index in wanted[::-1].tolist():
        if chosen and (times[chosen[0]] - times[index]) / MINUTE > oldest:
            break
        if np.isfinite(frames[index].to_numpy()).any():
            chosen.append(index)
        if len(chosen) == count:
            break
    if not chosen:
        raise ValueError("no radar frame sees anything")
    rows = chosen[::-1]
    x = frames["x"].to_numpy()
    return Recent(
        time=times[rows[-1]],
        fields=np.stack([frames[row].to_numpy() for row in rows]).astype(np.float32),
        ages=(times[rows[-1]] - times[rows]) / MINUTE,
        spacing=float(abs(x[1] - x[0])),
    )


def rate(reflectivity: NDArray[np.floating], *, a: float = 223.0, b: float = 1.53) -> Floats:
    """Give mm/h of dBZ by Z = a R^b; below 0.01 mm/h none; nan stays nan.

    The default is the relation the Finnish Meteorological Institute uses for rain.
    """
    found = (10.0 ** (np.asarray(reflectivity, np.float32) / 10.0) / a) ** (1.0 / b)
    result: Floats = np.where(found < 0.01, 0.0, found).astype(np.float32)
    return result
