"""An area drawn by hand: whether it can be used, and whom it reaches."""

from collections.abc import Sequence
from typing import Any

import msgspec
import shapely

from alerts.regions import Place, Region, RegionError, checked, geojson

CORNERS = 1_000
"""Corners of an area at most; more than a hand draws."""

SLIVER = 1e-4
"""Share of a region below which an area only touches it."""


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """A region that an area covers. share: 0 to 1 of the region; people: of that share."""

    region: str
    zh: str
    en: str
    share: float
    people: int | None


class Reach(msgspec.Struct, frozen=True, kw_only=True):
    """Whom an area reaches. area: the polygon as it is kept; stations: names of those inside.

    people: None where the population of none of the regions is known; counted: whether it is known
    of all of them. People are taken to live evenly over a region, for want of anything better.
    """

    area: dict[str, Any]
    parts: tuple[Part, ...]
    stations: tuple[str, ...]
    people: int | None
    counted: bool


def draw(area: dict[str, Any]) -> dict[str, Any]:
    """Give a GeoJSON Polygon or MultiPolygon (WGS 84) as it is kept: valid, closed, rounded.

    Raises RegionError for what is no area, or has too many corners.
    """
    try:
        geometry = shapely.geometry.shape(area)
        corners = shapely.get_num_coordinates(geometry)
    except (AttributeError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError):
        raise RegionError("area: write a GeoJSON Polygon, longitude before latitude") from None
    if corners > CORNERS:
        raise RegionError(f"area: {corners} corners are too many, at most {CORNERS}")
    return geojson(checked(geometry, "area", swapped=False))


def reach(area: dict[str, Any], *, regions: Sequence[Region], places: Sequence[Place]) -> Reach:
    """Give the regions and stations inside an area, and how many people live there.

    Raises RegionError as `draw` does.
    """
    kept = draw(area)
    shape = shapely.geometry.shape(kept)
    shapely.prepare(shape)
    parts = [part for region in regions if (part := _part(shape, region)) is not None]
    known = [part.people for part in parts if part.people is not None]
    inside = [
        place.name
        for place in places
        if place.longitude is not None
        and place.latitude is not None
        and shape.intersects(shapely.Point(place.longitude, place.latitude))
    ]
    return Reach(
        area=kept,
        parts=tuple(sorted(parts, key=lambda part: (-part.share, part.region))),
        stations=tuple(inside),
        people=sum(known) if known else None,
        counted=bool(parts) and len(known) == len(parts),
    )


def _part(shape: shapely.geometry.base.BaseGeometry, region: Region) -> Part | None:
    geometry = region.geometry
    if not shape.intersects(geometry):
        return None
    # Both areas shrink alike towards the poles: their ratio needs no projection.
    share = min(1.0, shape.intersection(geometry).area / geometry.area)
    if share < SLIVER:
        return None
    people = None if region.population is None else round(share * region.population)
    return Part(region=region.id, zh=region.zh, en=region.en, share=round(share, 4), people=people)
