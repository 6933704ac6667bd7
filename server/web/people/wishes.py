"""The form in which people say what they want to hear: what it offers, and how it is read."""

import datetime as dt
import math
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
import shapely

from alerts.bureau.policy import Level
from alerts.people.places import Places
from alerts.people.subscribers import LEVELS, Known, Wishes
from alerts.regions import Region
from forecast.criteria import HAZARDS

FEW = 60
"""So many places are offered at once; more are found by name."""

MOST = 50
"""Places that one person may choose."""

MAP = 200
"""So many places are drawn on a map."""

WIDTH = 640
"""Of the map, in its own units."""

NIGHT = dt.time(22), dt.time(7)
"""Quiet hours as they are proposed."""

USUAL: Level = "yellow"
"""The lowest level as it is proposed."""

_CORNER = 0.5
"""Units of the map below which a boundary is not drawn exactly."""


class WishError(Exception):
    """Something on the form is missing or wrong; a key of ``people.signup``."""


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """What stands on the form, right or wrong."""

    regions: tuple[str, ...] = ()
    lowest: str = USUAL
    every: bool = True
    hazards: tuple[str, ...] = ()
    language: str = "zh"
    quiet: bool = False
    quiet_from: str = f"{NIGHT[0]:%H:%M}"
    quiet_until: str = f"{NIGHT[1]:%H:%M}"
    digest: bool = False
    search: str = ""

    @classmethod
    def of(cls, wishes: Known) -> "Form":
        """Give the form as somebody filled it in before."""
        start, end = wishes.quiet_from, wishes.quiet_until
        quiet = start is not None and end is not None
        return cls(
            regions=wishes.regions,
            lowest=wishes.lowest,
            every=not wishes.hazards,
            hazards=wishes.hazards,
            language=wishes.language,
            quiet=quiet,
            quiet_from=f"{start or NIGHT[0]:%H:%M}",
            quiet_until=f"{end or NIGHT[1]:%H:%M}",
            digest=wishes.digest,
        )

    @classmethod
    def read(cls, fields: Mapping[str, Sequence[str]]) -> "Form":
        """Take what was sent."""

        def one(name: str, default: str = "") -> str:
            return fields.get(name, [default])[-1].strip()[:100]

        return cls(
            regions=tuple(dict.fromkeys(fields.get("region", [])))[: MOST + 1],
            lowest=one("lowest"),
            every=one("which", "every") == "every",
            hazards=tuple(name for name in HAZARDS if name in fields.get("hazard", [])),
            language="en" if one("language") == "en" else "zh",
            quiet="quiet" in fields,
            quiet_from=one("quiet_from"),
            quiet_until=one("quiet_until"),
            digest="digest" in fields,
            search=one("search"),
        )

    def wishes(self, places: Places) -> Wishes:
        """Give what is wanted; raises WishError."""
        known = {region.id for region in places.regions}
        regions = tuple(region for region in self.regions if region in known)
        if not regions:
            raise WishError("error_places")
        if len(regions) > MOST:
            raise WishError("most")
        if self.lowest not in LEVELS:
            raise WishError("error_lowest")
        if not self.every and not self.hazards:
            raise WishError("error_hazards")
        start, end = self._hours() if self.quiet else (None, None)
        return Wishes(
            language=self.language,
            lowest=msgspec.convert(self.lowest, Level),
            hazards=() if self.every else self.hazards,
            regions=regions,
            quiet_from=start,
            quiet_until=end,
            digest=self.digest,
        )

    def _hours(self) -> tuple[dt.time, dt.time]:
        try:
            start, end = (
                dt.time.fromisoformat(text) for text in (self.quiet_from, self.quiet_until)
            )
        except ValueError:
            raise WishError("error_quiet") from None
        if start == end or start.tzinfo or end.tzinfo:
            raise WishError("error_quiet")
        return start, end

    def offered(self, places: Places) -> list[Region]:
        """Give the places to choose from: what is chosen, then what was searched, or all."""
        by_id = {region.id: region for region in places.regions}
        shown = {name: by_id[name] for name in self.regions if name in by_id}
        if len(places.regions) <= FEW:
            return list(places.regions)
        shown |= {region.id: region for region in places.search(self.search)}
        return list(shown.values())


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """A place on the map: an SVG path."""

    id: str
    name: str
    path: str


class Chart(msgspec.Struct, frozen=True, kw_only=True):
    """The map of the places, in its own units."""

    width: int
    height: int
    shapes: tuple[Shape, ...]


def chart(regions: Sequence[Region], language: str) -> Chart | None:
    """Draw the places; None where there are none, or too many to tell apart."""
    if not 1 < len(regions) <= MAP:
        return None
    shapes = [region.geometry for region in regions]
    west, south, east, north = shapely.total_bounds(shapes)
    stretch = math.cos(math.radians((south + north) / 2))
    scale = WIDTH / max((east - west) * stretch, 1e-6)
    height = round((north - south) * scale)

    def flat(points: Any) -> Any:
        return (points - [west, north]) * [scale * stretch, -scale]

    drawn = [shapely.transform(shape, flat).simplify(_CORNER) for shape in shapes]
    return Chart(
        width=WIDTH,
        height=max(1, height),
        shapes=tuple(
            Shape(id=region.id, name=region.name(language), path=_path(shape))
            for region, shape in zip(regions, drawn, strict=True)
        ),
    )


def _path(shape: Any) -> str:
    rings = [ring for part in shapely.get_parts(shape) for ring in (part.exterior, *part.interiors)]
    return "".join(
        "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in ring.coords[:-1]) + "Z" for ring in rings
    )
