"""Radar files of several kinds as one series of rain rates; `radar.toml` says how each is read."""

import datetime as dt
import gzip
import importlib
import re
import tomllib
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, NamedTuple

import msgspec
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.radar import frames

Floats = NDArray[np.float32]


class RadarError(Exception):
    """Frames cannot be read; code and values name a sentence of the topic ``radar``."""

    def __init__(self, code: str, **values: object) -> None:
        super().__init__(code, values)
        self.code = code
        self.values = values


class _Amount(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    factor: float
    minutes: float


class _Reflectivity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    factor: float
    offset: float


class _Pole(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    longitude: str
    latitude: str


class Kind(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a kind of file is read; ``radar.toml`` explains the names."""

    format: Literal["hdf5", "pgm"]
    time: str
    time_format: str
    cell: str
    missing: list[int] = []
    none: list[int] = []
    data: str = ""
    amount: _Amount | None = None
    reflectivity: _Reflectivity | None = None
    projection: str = ""
    column_offset: str = ""
    row_offset: str = ""
    corner: str = ""
    pole: _Pole | None = None
    radius: float = 6371.0


class _Frame(NamedTuple):
    time: np.datetime64
    rain: Floats
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    projection: str


def kinds(path: Path | None = None) -> dict[str, Kind]:
    """Read the kinds that ship with Fenghuo, and those of a file; raises RadarError."""
    text = files("server.commands").joinpath("radar.toml").read_text("utf-8")
    try:
        table: dict[str, Any] = tomllib.loads(text)
        if path is not None:
            table |= tomllib.loads(path.read_text("utf-8"))
        return msgspec.convert(table, dict[str, Kind])
    except (tomllib.TOMLDecodeError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise RadarError("kinds", reason=error) from error


def read(paths: Sequence[Path], *, kind: str, known: dict[str, Kind] | None = None) -> xr.DataArray:
    """Read frames into one series of mm/h; ``netcdf`` is a CF file with rainfall_rate.

    Raises RadarError for a file that cannot be read or is on another grid than the first.
    """
    if not paths:
        raise RadarError("nothing")
    if kind == "netcdf":
        return _netcdf(paths)
    if kind not in (known := known or kinds()):
        raise RadarError("kind", kind=kind, kinds=", ".join([*known, "netcdf"]))
    reader = _hdf5 if known[kind].format == "hdf5" else _pgm
    found: list[_Frame] = []
    for path in paths:
        try:
            frame = reader(path, known[kind])
        except (OSError, KeyError, ValueError, IndexError, AttributeError) as error:
            reason = str(error) or type(error).__name__
            raise RadarError("unreadable", file=path.name, kind=kind, reason=reason) from error
        if found and frame.rain.shape != found[0].rain.shape:
            raise RadarError("grid", file=path.name)
        found.append(frame)
    return frames.series(
        np.stack([frame.rain for frame in found]),
        np.array([frame.time for frame in found]),
        x=found[0].x,
        y=found[0].y,
        projection=found[0].projection,
    )


def _rate(counts: NDArray[Any], kind: Kind) -> Floats:
    if kind.amount is not None:
        rain = counts.astype(np.float32) * np.float32(kind.amount.factor * 60 / kind.amount.minutes)
    elif kind.reflectivity is not None:
        made = kind.reflectivity
        rain = frames.rate(
            counts.astype(np.float32) * np.float32(made.factor) + np.float32(made.offset)
        )
    else:
        raise ValueError("neither amount nor reflectivity")
    rain[np.isin(counts, kind.none)] = 0
    rain[np.isin(counts, kind.missing)] = np.nan
    return rain


def _time(text: str, kind: Kind) -> np.datetime64:
    moment = dt.datetime.strptime(text, kind.time_format).replace(tzinfo=dt.UTC)
    return np.datetime64(moment.replace(tzinfo=None), "ns")


def _hdf5(path: Path, kind: Kind) -> _Frame:
    h5py = importlib.import_module("h5py")
    with h5py.File(path) as file:

        def attribute(name: str) -> Any:
            group, _, key = name.partition("@")
            value = np.asarray(file[group].attrs[key]).ravel()[0]
            return value.decode() if isinstance(value, bytes) else value

        counts = file[kind.data][:]
        cell = abs(float(attribute(kind.cell)))
        rows, columns = counts.shape
        left, top = float(attribute(kind.column_offset)), float(attribute(kind.row_offset))
        return _Frame(
            _time(str(attribute(kind.time)), kind),
            _rate(counts, kind),
            (left + np.arange(columns) + 0.5) * cell,
            -(top + np.arange(rows) + 0.5) * cell,
            str(attribute(kind.projection)),
        )


def _pgm(path: Path, kind: Kind) -> _Frame:
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    head, width, height, begin = _pgm_head(content)
    counts = np.frombuffer(content, np.uint8, width * height, begin).reshape(height, width)
    cell = float(head[kind.cell].split()[0]) / 1000
    if kind.pole is None:
        raise ValueError("no pole")
    east, true = float(head[kind.pole.longitude]), float(head[kind.pole.latitude])
    longitude, latitude = (float(part) for part in head[kind.corner].split()[:2])
    # Polar stereographic on a sphere: J. P. Snyder, USGS Prof. Paper 1395 (1987), 21-5 and 21-7.
    scale = kind.radius * (1 + np.sin(np.radians(true)))
    reach = scale * np.tan(np.radians(45 - latitude / 2))
    left = reach * np.sin(np.radians(longitude - east))
    bottom = -reach * np.cos(np.radians(longitude - east))
    return _Frame(
        _time(head[kind.time], kind),
        _rate(counts, kind),
        left + (np.arange(width) + 0.5) * cell,
        bottom + (np.arange(height)[::-1] + 0.5) * cell,
        f"+proj=stere +lat_0=90 +lon_0={east:g} +lat_ts={true:g} +R={kind.radius:g}",
    )


def _pgm_head(content: bytes) -> tuple[dict[str, str], int, int, int]:
    """Give the comments as a table, width, height, and where the image begins."""
    head: dict[str, str] = {}
    words: list[bytes] = []
    place = 0
    while len(words) < 4:
        end = content.index(b"\n", place)
        line = content[place:end]
        place = end + 1
        if line.startswith(b"#"):
            name, _, value = line[1:].decode("ascii", "replace").strip().partition(" ")
            head.setdefault(name, value.strip())
        else:
            words += line.split()
    if words[0] != b"P5" or int(words[3]) > 255:
        raise ValueError("not an 8-bit PGM")
    return head, int(words[1]), int(words[2]), place


def _netcdf(paths: Sequence[Path]) -> xr.DataArray:
    parts = []
    for path in paths:
        try:
            with xr.open_dataset(path) as dataset:
                names = [
                    name
                    for name, variable in dataset.data_vars.items()
                    if variable.attrs.get("standard_name") == "rainfall_rate"
                ]
                rain = dataset[names[0]].load()
        except (OSError, ValueError, IndexError, KeyError) as error:
            reason = str(error) or type(error).__name__
            raise RadarError("unreadable", file=path.name, kind="netcdf", reason=reason) from error
        if re.sub(r"\s", "", rain.attrs.get("units", "")) not in {"mmh-1", "mm/h"}:
            raise RadarError("unit", file=path.name, unit=rain.attrs.get("units", ""))
        parts.append(rain if "time" in rain.dims else rain.expand_dims("time"))
    whole = xr.concat(parts, "time")
    return frames.series(
        whole.to_numpy(),
        whole["time"].to_numpy(),
        x=whole["x"].to_numpy(),
        y=whole["y"].to_numpy(),
        projection=str(whole.attrs.get("projection", "")),
    )
