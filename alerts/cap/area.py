"""Where an alert counts: polygons and circles of CAP as shapes."""

import math
from collections.abc import Iterable, Iterator

import shapely
from shapely.geometry.base import BaseGeometry

from alerts.cap.alert import Area
from alerts.regions import KM_PER_DEGREE

FARTHEST_KM = 2_000.0
"""Radius of a circle that is drawn; beyond that it is no place any more."""

NEAREST_KM = 0.1
"""Radius of a circle that is smaller, down to a point: it lies in a region all the same."""

SMALLEST = 1e-9
"""Square degrees of a surface: about ten square metres."""

POINTS = 100_000
"""Corners of a polygon."""


def shape(areas: Iterable[Area]) -> BaseGeometry | None:
    """Give all that is drawn, longitude first, in degrees; None where nothing can be.

    What is wrongly drawn is left out; the alert's examination says what it is.
    """
    # In each language the same is drawn again.
    parts = [part for drawn in dict.fromkeys(map(_drawing, areas)) for part in _drawn(*drawn)]
    whole = shapely.union_all(parts) if parts else None
    return None if whole is None or whole.is_empty else whole


def _drawing(area: Area) -> tuple[tuple[str, ...], tuple[str, ...]]:
    return area.polygons, area.circles


def _drawn(polygons: tuple[str, ...], circles: tuple[str, ...]) -> Iterator[BaseGeometry]:
    for text in polygons:
        points = _points(text)
        if len(points) >= 3:
            yield from _whole(shapely.Polygon(points))
    for text in circles:
        yield from _circle(text)


def _points(text: str) -> list[tuple[float, float]]:
    """Give longitude and latitude of each corner; none where one of them is nowhere on earth."""
    try:
        pairs = [pair.split(",") for pair in text.split()[:POINTS]]
        points = [(float(longitude), float(latitude)) for latitude, longitude in pairs]
    except ValueError:
        return []
    return points if all(_on_earth(*point) for point in points) else []


def _circle(text: str) -> Iterator[BaseGeometry]:
    centre, _, radius = text.partition(" ")
    points = _points(centre)
    try:
        km = float(radius)
    except ValueError:
        return
    if not points or not 0 <= km <= FARTHEST_KM:
        return
    (longitude, latitude) = points[0]
    # A plane round the centre, true enough for a place; near a pole it would tear.
    narrow = max(math.cos(math.radians(latitude)), 0.05)
    disc = shapely.Point(0, 0).buffer(max(km, NEAREST_KM) / KM_PER_DEGREE, quad_segs=12)
    yield shapely.transform(disc, lambda xy: xy / [narrow, 1] + [longitude, latitude])


def _whole(polygon: BaseGeometry) -> Iterator[BaseGeometry]:
    """Give the surfaces of a polygon, mended where it crosses itself."""
    mended = polygon if polygon.is_valid else shapely.make_valid(polygon)
    for part in shapely.get_parts(shapely.get_parts(mended)):
        if part.geom_type == "Polygon" and part.area > SMALLEST:
            yield part


def _on_earth(longitude: float, latitude: float) -> bool:
    return abs(longitude) <= 180 and abs(latitude) <= 90
