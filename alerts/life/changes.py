"""What a person sets of a warning: level, times, words, area, each checked against the others."""

import datetime as dt
from collections.abc import Mapping
from typing import Any

import msgspec
import shapely
from msgspec import UNSET, UnsetType
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

from alerts.life.evidence import LEVELS, Door
from alerts.life.warning import Own, Terms, Warning  # noqa: A004 - the domain's own word
from alerts.regions import Region

SHORTEST = dt.timedelta(minutes=10)
"""A message counts at least so long, or it is over before it has reached everybody."""

LONGEST = dt.timedelta(days=15)
"""No message counts longer, and nothing is announced or remembered further from now."""

CORNERS = 1_000
"""Of an area drawn by hand, at most."""


class ActError(Exception):
    """The act makes no sense as it was asked for; the message says why and what to do."""


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What a person sets; what is left out stays, None takes it back.

    onset, expires: aware times; text: own wording by language; area: GeoJSON (Multi)Polygon.
    """

    level: str | UnsetType = UNSET
    onset: dt.datetime | UnsetType | None = UNSET
    expires: dt.datetime | UnsetType | None = UNSET
    text: Mapping[str, Own] | UnsetType | None = UNSET
    area: dict[str, Any] | UnsetType | None = UNSET

    @property
    def named(self) -> list[str]:
        """Names of what is set."""
        return [name for name in self.__struct_fields__ if getattr(self, name) is not UNSET]

    def goal(self, warning: Warning) -> str:
        """Give the level that a warning is to have; raises ActError."""
        return warning.level if self.level is UNSET else known(self.level)

    def words(self, present: Mapping[str, Own]) -> Mapping[str, Own]:
        """Give the own wording in the place of what there is."""
        if self.text is UNSET:
            return present
        return {language: own for language, own in (self.text or {}).items() if own != Own()}


NOTHING = Changes()


def write(
    warning: Warning, changes: Changes, *, author: str, at: dt.datetime, terms: Terms
) -> Warning:
    """Give the warning with a person's changes, which make it that person's; raises ActError."""
    level = changes.goal(warning)
    onset = warning.onset if changes.onset is UNSET else changes.onset
    usual = at + terms.validity
    if changes.expires is UNSET:
        # A later end that was set before stands: nothing is shortened unsaid.
        until = warning.until if warning.until and warning.until > usual else None
        if not warning.published:
            until = warning.until
    else:
        until = changes.expires
    check(onset, until, at=at, terms=terms)
    moved = msgspec.structs.replace(warning, level=level, onset=onset)
    return msgspec.structs.replace(
        moved,
        door=_door(moved, at),
        since=at if level != warning.level else warning.since,
        until=until,
        expires=until or usual,
        text=changes.words(warning.text),
        area=warning.area if changes.area is UNSET else _area(changes.area),
        led="hand",
        author=author,
        barred="",
        decided=at,
    )


def _door(warning: Warning, at: dt.datetime) -> Door:
    """Say whether it was met: by the stations, unless a person set when it begins."""
    if warning.onset is not None:
        return "observed" if warning.onset <= at else "expected"
    return warning.grounds[warning.level].door if warning.level in warning.grounds else "expected"


def known(level: str) -> str:
    """Give a level that there is; raises ActError."""
    if level not in LEVELS:
        raise ActError(f"level: {level!r} is not one of {', '.join(LEVELS)}")
    return level


def check(
    onset: dt.datetime | None, until: dt.datetime | None, *, at: dt.datetime, terms: Terms
) -> None:
    """Check the times of what is sent at ``at``; raises ActError."""
    for name, moment in (("onset", onset), ("expires", until)):
        if moment is None:
            continue
        if moment.tzinfo is None:
            raise ActError(f"{name}: the time has no zone")
        if abs(moment - at) > LONGEST:
            raise ActError(f"{name}: {_iso(moment)} is more than {LONGEST.days} days from now")
    if until is not None and until <= at:
        raise ActError(f"expires: {_iso(until)} has passed; set a later end")
    if until is not None and until - at < SHORTEST:
        minutes = SHORTEST // dt.timedelta(minutes=1)
        raise ActError(
            f"expires: {_iso(until)} leaves less than {minutes} minutes; set a later end"
        )
    end = until or at + terms.validity
    if onset is not None and onset >= end:
        raise ActError(f"onset: {_iso(onset)} is not before the end, {_iso(end)}; set expires")


def covers(region: Region, drawn: dict[str, Any]) -> bool:
    """Say whether an area drawn by hand lies, at least in part, in a region; raises ActError."""
    return bool(_geometry(drawn).intersects(region.geometry))


def _area(drawn: dict[str, Any] | None) -> dict[str, Any] | None:
    """Give an area drawn by hand as it is kept: its outline and nothing else."""
    if drawn is None:
        return None
    outline: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(mapping(_geometry(drawn))))
    return outline


def _geometry(drawn: dict[str, Any]) -> BaseGeometry:
    if drawn.get("type") not in {"Polygon", "MultiPolygon"}:
        raise ActError("area: draw a GeoJSON Polygon or MultiPolygon")
    try:
        geometry = shapely.force_2d(shape(drawn))
        corners = shapely.count_coordinates(geometry)
        west, south, east, north = geometry.bounds
    except (shapely.GEOSException, AttributeError, KeyError, TypeError, ValueError) as error:
        raise ActError(f"area: the coordinates cannot be read ({error})") from None
    if corners > CORNERS:
        raise ActError(f"area: it has {corners} corners; at most {CORNERS} are taken")
    if not (-180 <= west <= east <= 180 and -90 <= south <= north <= 90):
        raise ActError("area: write longitude and latitude in degrees, longitude first")
    if not geometry.is_valid or not geometry.area:
        raise ActError(f"area: {shapely.is_valid_reason(geometry)}")
    return geometry


def _iso(moment: dt.datetime) -> str:
    return moment.astimezone(dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
