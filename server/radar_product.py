"""What a radar nowcast is handed on as: a CF dataset, a picture, a summary."""

from dataclasses import dataclass
from typing import Any, Final

import cv2
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from forecast.radar import cells, probability, scales
from forecast.radar.frames import WET, Floats, recent
from forecast.radar.image import CELL
from server.radar_files import RadarError

RATES: Final = (0.1, 1.0, 5.0, 20.0)
"""mm/h whose chance within the hour is given."""

AMOUNTS: Final = (1.0, 5.0, 10.0, 20.0)
"""mm in the hour whose chance is given."""

SMOOTHING: Final = 30 * probability.SPREAD
"""Cells over which the share of members is smoothed: as for the middle of the hour."""

_FILL: Final = -32_768

_COLOURS: Final = (
    (0.1, (0xEC, 0xE2, 0xC8)),
    (0.5, (0xE1, 0xBF, 0x8C)),
    (1.0, (0xD0, 0x93, 0x4F)),
    (2.0, (0xA9, 0x62, 0x2A)),
    (5.0, (0x5B, 0xC8, 0xF6)),
    (10.0, (0x28, 0x8C, 0xF0)),
    (20.0, (0x2A, 0x40, 0xD8)),
    (50.0, (0x5E, 0x14, 0x8A)),
)
"""From mm/h on: blue, green, red, as OpenCV orders them."""


@dataclass(frozen=True, slots=True)
class Product:
    """A nowcast with its cells and its chances."""

    series: xr.DataArray
    cast: scales.Nowcast
    cells: cells.Cells
    chances: probability.Chances | None
    threshold: float

    def dataset(self) -> xr.Dataset:
        """Give a CF dataset; rates are packed in steps of 0.01 mm/h."""
        rain = self.cast.rain
        fields: dict[str, Any] = {
            "rainfall_rate": rain.rename("rainfall_rate"),
            "origin_seen": self.cast.origin.astype("int8"),
        }
        fields["rainfall_rate"].attrs = {
            "units": "mm h-1",
            "standard_name": "rainfall_rate",
            "grid_mapping": "crs",
        }
        fields["origin_seen"].attrs = {
            "long_name": "1 where the radar saw where the air is now, 0 where the rim stands in",
            "grid_mapping": "crs",
        }
        coords = {"y": rain["y"], "x": rain["x"]}
        if self.chances is not None:
            for name, unit, found in (
                ("rate", "mm h-1", self.chances.peak),
                ("amount", "mm", self.chances.total),
            ):
                fields[f"probability_{name}"] = xr.DataArray(
                    np.stack(list(found.values())),
                    dims=(f"{name}_threshold", "y", "x"),
                    coords={f"{name}_threshold": list(found), **coords},
                    attrs={
                        "units": "1",
                        "long_name": f"probability that the {name} of the hour is reached",
                        "grid_mapping": "crs",
                    },
                )
                fields[f"probability_{name}"][f"{name}_threshold"].attrs["units"] = unit
        dataset = xr.Dataset(fields)
        dataset["crs"] = xr.DataArray(np.int32(0), attrs=_mapping(self.series))
        for axis, name in (("x", "projection_x_coordinate"), ("y", "projection_y_coordinate")):
            dataset[axis].attrs = {"units": "km", "standard_name": name}
        dataset["time"].attrs = {"standard_name": "forecast_reference_time"}
        dataset["lead"].attrs = {"standard_name": "forecast_period"}
        dataset.attrs = {
            "Conventions": "CF-1.10",
            "title": "Radar nowcast of rain",
            "source": "Fenghuo",
        }
        packed = {"dtype": "int16", "scale_factor": 0.01, "_FillValue": _FILL}
        dataset["rainfall_rate"].encoding = packed
        for name in ("probability_rate", "probability_amount"):
            if name in dataset:
                dataset[name].encoding = packed
        dataset["lead"].encoding = {"dtype": "int32", "units": "minutes"}
        dataset["time"].encoding = {"dtype": "int32", "units": "minutes since 1970-01-01"}
        return dataset

    def picture(self) -> bytes:
        """Give a PNG of now, and of a quarter, a half and a whole hour on."""
        now = self.series.sel(time=self.cast.rain["time"]).to_numpy()
        leads = self.cast.rain["lead"].to_numpy() / np.timedelta64(1, "m")
        panels = [_panel(now, "now")]
        for lead in (15, 30, 60):
            place = int(np.argmin(np.abs(leads - lead)))
            panels.append(_panel(self.cast.rain[place].to_numpy(), f"+{leads[place]:.0f} min"))
        whole = np.concatenate(
            [np.concatenate(panels[:2], axis=1), np.concatenate(panels[2:], axis=1)], axis=0
        )
        made, content = cv2.imencode(".png", whole)
        if not made:
            raise OSError("the picture cannot be made")
        return bytes(content)

    def summary(self) -> dict[str, Any]:
        """Give the figures of the nowcast as plain values; places in km of the grid."""
        taken = self.cast.scales
        x, y = self.series["x"].to_numpy(), self.series["y"].to_numpy()
        spacing = float(abs(x[1] - x[0]))
        wet = np.nan_to_num(taken.rain) >= WET
        speed, toward = _mean_motion(taken.motion.velocity, wet, spacing)
        leads = []
        for lead, rain in zip(self.cast.rain["lead"].to_numpy(), self.cast.rain, strict=True):
            field = rain.to_numpy()[np.isfinite(rain.to_numpy())]
            leads.append(
                {
                    "minutes": int(lead / np.timedelta64(1, "m")),
                    "wet": round(float((field >= WET).mean()), 4) if len(field) else None,
                    "highest": round(float(field.max()), 2) if len(field) else None,
                }
            )
        return {
            "time": str(taken.time.astype("datetime64[s]")),
            "frames": len(self.series),
            "motion": taken.motion.source,
            "speed": round(speed, 1),
            "toward": round(toward),
            "life": round(taken.life, 2),
            "threshold": self.threshold,
            "leads": leads,
            "cells": [
                {
                    "x": round(float(np.interp(cell.column, np.arange(len(x)), x)), 1),
                    "y": round(float(np.interp(cell.row, np.arange(len(y)), y)), 1),
                    "area": round(cell.area, 1),
                    "peak": round(cell.peak, 1),
                    "speed": round(cell.speed, 1),
                    "toward": None if np.isnan(cell.toward) else round(cell.toward),
                    "followed": cell.track[0][0],
                }
                for cell in self.cells.cells
            ],
        }


def make(series: xr.DataArray, *, members: int, threshold: float) -> Product:
    """Forecast from the newest frames; raises RadarError where none sees anything."""
    try:
        newest = recent(series)
    except ValueError as error:
        raise RadarError("blind") from error
    cast = scales.nowcast(series, newest)
    chances = None
    if members > 0:
        frames = list(probability.ensemble(cast.scales, members=members))
        chances = probability.window(frames, rates=RATES, amounts=AMOUNTS, width=SMOOTHING)
    found = cells.find(newest, cast.scales.motion, threshold=threshold)
    return Product(series, cast, found, chances, threshold)


def _mean_motion(velocity: Floats, wet: NDArray[np.bool_], spacing: float) -> tuple[float, float]:
    """Give m/s and degrees clockwise from the top of the grid, over where it rains."""
    rows, columns = np.nonzero(wet)
    if not len(rows):
        return 0.0, 0.0
    right, down = (float(part[rows // CELL, columns // CELL].mean()) for part in velocity)
    toward = float(np.degrees(np.arctan2(right, -down)) % 360)
    return float(np.hypot(right, down)) * spacing * 1000 / 60, toward


def _mapping(series: xr.DataArray) -> dict[str, Any]:
    """Give CF's grid mapping of a polar stereographic PROJ text, and the text itself."""
    text = str(series.attrs.get("projection", ""))
    parts = dict(part.lstrip("+").partition("=")[::2] for part in text.split())
    if parts.get("proj") != "stere":
        return {"proj4": text}
    mapping: dict[str, Any] = {
        "grid_mapping_name": "polar_stereographic",
        "latitude_of_projection_origin": float(parts.get("lat_0", "90")),
        "straight_vertical_longitude_from_pole": float(parts.get("lon_0", "0")),
        "standard_parallel": float(parts.get("lat_ts", "90")),
        "false_easting": 0.0,
        "false_northing": 0.0,
        "proj4": text,
    }
    if "R" in parts:
        mapping["earth_radius"] = float(parts["R"]) * 1000
    if "a" in parts and "b" in parts:
        mapping["semi_major_axis"] = float(parts["a"]) * 1000
        mapping["semi_minor_axis"] = float(parts["b"]) * 1000
    return mapping


def _panel(rain: Floats, title: str) -> NDArray[np.uint8]:
    """Draw a field in classes; grey is not seen."""
    image = np.full((*rain.shape, 3), 255, np.uint8)
    image[np.isnan(rain)] = 200
    known = np.nan_to_num(rain)
    for limit, colour in _COLOURS:
        image[known >= limit] = colour
    cv2.putText(image, title, (12, 32), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (40, 40, 40), 2)
    return image
