"""The places that are warned: their boundaries, their stations, and where they come from."""

import csv
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import msgspec
import psycopg
import shapely
from psycopg.types.json import Jsonb
from shapely.geometry import mapping, shape
from shapely.geometry.base import BaseGeometry

from alerts.queries import Queries

_sql = Queries("alerts", "regions.sql")

KM_PER_DEGREE = 111.195
"""Of latitude, on a sphere of 6371 km."""

GRID = 1e-5
"""Degrees to which coordinates are rounded: about a metre."""


class RegionError(Exception):
    """A boundary cannot be used; the message says which feature and why."""


class Region(msgspec.Struct, frozen=True, kw_only=True):
    """A place with a boundary (GeoJSON Polygon or MultiPolygon, WGS 84 longitude, latitude).

    sample: generated round a station; no official boundary.
    """

    id: str
    zh: str
    en: str
    boundary: dict[str, Any]
    population: int | None = None
    sample: bool = False

    @property
    def geometry(self) -> BaseGeometry:
        """Give the boundary for calculating."""
        return shape(self.boundary)

    def name(self, language: str) -> str:
        """Give the name in a language; the English one where there is none in it."""
        return self.zh if language == "zh" else self.en


class Place(Protocol):
    """What must be known of a station: a row of the station catalogue has it."""

    @property
    def id(self) -> int:
        """Number in the store."""

    @property
    def name(self) -> str:
        """Identifier."""

    @property
    def zh(self) -> str:
        """Chinese name."""

    @property
    def en(self) -> str:
        """English name."""

    @property
    def longitude(self) -> float | None:
        """Degrees east."""

    @property
    def latitude(self) -> float | None:
        """Degrees north."""


def sample(places: Sequence[Place], *, radius_km: float = 10.0) -> list[Region]:
    """Give a region round each station: nearer to it than to any other, and within the radius.

    Stations at one spot share a region, named by the first. Stations without a position have none.
    """
    spots: dict[tuple[float, float], Place] = {}
    for place in places:
        if place.longitude is not None and place.latitude is not None:
            spots.setdefault((round(place.longitude, 4), round(place.latitude, 4)), place)
    if not spots:
        return []
    # A plane in kilometres, true enough over a few hundred of them.
    stretch = math.cos(math.radians(sum(y for _, y in spots) / len(spots)))
    scale_x, scale_y = KM_PER_DEGREE * stretch, KM_PER_DEGREE
    points = [shapely.Point(x * scale_x, y * scale_y) for x, y in spots]
    discs = [point.buffer(radius_km, quad_segs=12) for point in points]
    cells = _cells(points, discs)
    return [
        Region(
            id=place.name,
            zh=place.zh or place.name,
            en=place.en or place.name,
            boundary=geojson(
                shapely.transform(disc.intersection(cell), lambda xy: xy / [scale_x, scale_y])
            ),
            sample=True,
        )
        for place, disc, cell in zip(spots.values(), discs, cells, strict=True)
    ]


def _cells(
    points: Sequence[shapely.Point], discs: Sequence[BaseGeometry]
) -> Sequence[BaseGeometry]:
    """Give what is nearest to each point, in their order."""
    if len(points) == 1:
        return discs
    whole = shapely.union_all(discs)
    diagram = shapely.voronoi_polygons(shapely.MultiPoint(points), extend_to=whole)
    cells = list(diagram.geoms)
    tree = shapely.STRtree(cells)
    return [cells[int(tree.query(point, predicate="intersects")[0])] for point in points]


def read(
    file: Path,
    *,
    id_property: str = "id",
    zh_property: str = "name",
    en_property: str = "name_en",
    population_property: str = "population",
    tolerance_m: float = 50.0,
    swapped: bool = False,
) -> list[Region]:
    """Read boundaries from a GeoJSON FeatureCollection.

    id_property, …: names of the features' properties; without an English name the Chinese one
    stands for both. tolerance_m: corners smaller than a square of this side are cut; common
    borders stay common. swapped: the file has latitude before longitude.
    Raises RegionError.
    """
    features = _features(file)
    names = (id_property, zh_property, en_property, population_property)
    found: dict[str, tuple[Region, BaseGeometry]] = {}
    for number, feature in enumerate(features, start=1):
        region, geometry = _feature(feature, f"{file.name}: feature {number}", names, swapped)
        if region.id in found:
            raise RegionError(f"{file.name}: feature {number}: id {region.id!r} a second time")
        found[region.id] = (region, geometry)
    shapes = _simplified([geometry for _, geometry in found.values()], tolerance_m)
    return [
        msgspec.structs.replace(region, boundary=geojson(geometry))
        for (region, _), geometry in zip(found.values(), shapes, strict=True)
    ]


def _features(file: Path) -> list[Any]:
    try:
        document = json.loads(file.read_text("utf-8-sig"))
    except (OSError, ValueError) as error:
        raise RegionError(f"{file}: {error}") from None
    if not isinstance(document, dict) or document.get("type") != "FeatureCollection":
        raise RegionError(f"{file.name}: not a GeoJSON FeatureCollection")
    crs = json.dumps(document.get("crs", "CRS84"))
    if not any(name in crs for name in ("CRS84", "4326")):
        raise RegionError(f"{file.name}: coordinates must be WGS 84, not {crs}")
    features = document.get("features")
    if not isinstance(features, list) or not features:
        raise RegionError(f"{file.name}: no features")
    return features


def _feature(
    feature: Any,
    where: str,
    names: tuple[str, str, str, str],
    swapped: bool,  # noqa: FBT001
) -> tuple[Region, BaseGeometry]:
    properties = feature.get("properties") if isinstance(feature, dict) else None
    if not isinstance(properties, dict):
        raise RegionError(f"{where}: no properties")
    id_, zh, en, population = (properties.get(name) for name in names)
    if id_ in (None, ""):
        raise RegionError(f"{where}: no property {names[0]!r}; it has {', '.join(properties)}")
    if not isinstance(zh, str) or not zh:
        raise RegionError(f"{where}: no property {names[1]!r}; it has {', '.join(properties)}")
    if population is not None and (not isinstance(population, int) or population < 0):
        raise RegionError(f"{where}: {names[3]!r} is not a number of people: {population!r}")
    try:
        geometry = shape(feature.get("geometry") or {})
    except (AttributeError, KeyError, TypeError, ValueError, shapely.errors.ShapelyError):
        raise RegionError(f"{where}: no geometry that can be read") from None
    region = Region(
        id=str(id_),
        zh=zh,
        en=en if isinstance(en, str) and en else zh,
        boundary={},
        population=population,
    )
    return region, checked(geometry, f"{where} ({zh})", swapped=swapped)


def checked(geometry: BaseGeometry, where: str, *, swapped: bool) -> BaseGeometry:
    """Give a valid polygon or several, in degrees, longitude first; raises RegionError."""
    if geometry.geom_type not in {"Polygon", "MultiPolygon"} or geometry.is_empty:
        raise RegionError(f"{where}: a boundary is a Polygon or MultiPolygon")
    if geometry.has_z:
        geometry = shapely.force_2d(geometry)
    if swapped:
        geometry = shapely.transform(geometry, lambda xy: xy[:, ::-1])
    west, south, east, north = geometry.bounds
    if not all(map(math.isfinite, geometry.bounds)) or max(map(abs, geometry.bounds)) > 180:
        raise RegionError(f"{where}: coordinates are not degrees")
    if south < -90 or north > 90:
        hint = " (latitude and longitude are swapped)" if west >= -90 and east <= 90 else ""
        raise RegionError(f"{where}: latitude beyond 90 degrees{hint}")
    if not geometry.is_valid:
        geometry = _polygons(shapely.make_valid(geometry))
    if geometry.is_empty or not geometry.area:
        raise RegionError(f"{where}: the boundary encloses nothing")
    return geometry


def _polygons(geometry: BaseGeometry) -> BaseGeometry:
    """Leave out the points and lines that a repair can leave behind."""
    parts = shapely.get_parts(geometry, return_index=False)
    flat = [piece for part in parts for piece in shapely.get_parts(part)]
    return shapely.union_all([piece for piece in flat if piece.geom_type == "Polygon"])


def _simplified(shapes: list[BaseGeometry], tolerance_m: float) -> list[BaseGeometry]:
    tolerance = tolerance_m / 1000 / KM_PER_DEGREE
    if tolerance <= 0:
        return shapes
    if shapely.coverage_is_valid(shapes):
        return list(shapely.coverage_simplify(shapes, tolerance))
    return [shapely.simplify(geometry, tolerance, preserve_topology=True) for geometry in shapes]


def geojson(geometry: BaseGeometry) -> dict[str, Any]:
    """Give a shape as GeoJSON, its corners rounded to `GRID` and outer rings counter-clockwise."""
    rounded = shapely.set_precision(geometry, GRID)
    kept = rounded if rounded.geom_type in {"Polygon", "MultiPolygon"} else _polygons(rounded)
    found = mapping(shapely.orient_polygons(kept if not kept.is_empty else geometry))
    return {
        "type": found["type"],
        # The grid leaves binary dust behind the fifth digit.
        "coordinates": _rounded(found["coordinates"]),
    }


def _rounded(value: Any) -> Any:
    return round(value, 5) if isinstance(value, float) else [_rounded(part) for part in value]


def within(regions: Sequence[Region], places: Sequence[Place]) -> dict[str, list[int]]:
    """Give the ids of the stations in each region; a border belongs to both sides."""
    located = [
        (place.id, shapely.Point(place.longitude, place.latitude))
        for place in places
        if place.longitude is not None and place.latitude is not None
    ]
    tree = shapely.STRtree([point for _, point in located])
    return {
        region.id: sorted(
            located[int(index)][0] for index in tree.query(region.geometry, predicate="intersects")
        )
        for region in regions
    }


async def save(conn: psycopg.AsyncConnection[Any], regions: Sequence[Region]) -> None:
    """Add regions, or change those that are there."""
    async with conn.cursor() as cursor:
        await cursor.executemany(
            _sql.save,
            [
                {
                    "id": region.id,
                    "zh": region.zh,
                    "en": region.en,
                    "boundary": Jsonb(region.boundary),
                    "population": region.population,
                    "sample": region.sample,
                }
                for region in regions
            ],
        )


async def load(conn: psycopg.AsyncConnection[Any]) -> list[Region]:
    """Give every region, by id."""
    rows = await (await conn.execute(_sql.load)).fetchall()
    names = ("id", "zh", "en", "boundary", "population", "sample")
    return [Region(**dict(zip(names, row, strict=True))) for row in rows]


async def assign(
    conn: psycopg.AsyncConnection[Any], regions: Sequence[Region], places: Sequence[Place]
) -> None:
    """Give these regions the stations that lie in them, instead of those they had."""
    members = within(regions, places)
    await conn.execute(_sql.clear, {"regions": list(members)})
    pairs = [(region, station) for region, ids in members.items() for station in ids]
    await conn.execute(
        _sql.assign,
        {"regions": [region for region, _ in pairs], "stations": [number for _, number in pairs]},
    )


async def membership(conn: psycopg.AsyncConnection[Any]) -> dict[str, tuple[int, ...]]:
    """Give the ids of the stations of each region; a region without any has none."""
    rows = await (await conn.execute(_sql.membership)).fetchall()
    return {region: tuple(stations) for region, stations in rows}


def populations(file: Path) -> dict[str, int]:
    """Read how many people live where: a CSV file of two columns, region (id or name) and people.

    A first line without a number is the heading. Raises RegionError.
    """
    found: dict[str, int] = {}
    try:
        with file.open(encoding="utf-8-sig", newline="") as lines:
            for number, row in enumerate(csv.reader(lines), start=1):
                if len(row) < 2 or (number == 1 and not row[1].strip().isdecimal()):
                    continue
                name, people = row[0].strip(), row[1].strip()
                if not people.isdecimal():
                    raise RegionError(
                        f"{file.name}: line {number}: no number of people: {people!r}"
                    )
                found[name] = int(people)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise RegionError(f"{file}: {error}") from None
    if not found:
        raise RegionError(f"{file.name}: no line with a region and a number of people")
    return found


async def people(conn: psycopg.AsyncConnection[Any], numbers: Mapping[str, int]) -> list[str]:
    """Note how many people live in the regions, by id or Chinese or English name.

    Gives the names that are no region.
    """
    values = {"names": list(numbers), "people": list(numbers.values())}
    rows = await (await conn.execute(_sql.people, values)).fetchall()
    known = {name for (name,) in rows}
    return [name for name in numbers if name not in known]


async def retire_samples(conn: psycopg.AsyncConnection[Any]) -> None:
    """Take the sample regions out of use, as real boundaries take their place."""
    await conn.execute(_sql.release_samples)
    await conn.execute(_sql.drop_samples)
