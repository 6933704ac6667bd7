"""`fenghuo station …`, `fenghuo region …` and `fenghuo migrate`: what an operator sets up."""

import argparse
import functools
import sys
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from pathlib import Path
from typing import Any, TypeAlias

from alerts import regions
from alerts.regions import RegionError
from server.chain import StartError, opened
from server.clock import SystemClock
from server.commands import criteria, quarantine
from server.settings import Settings
from server.store import stations
from server.store.connection import Connection
from server.store.database import Database
from server.store.stations import StationError
from server.terminal import Terminal

_Act: TypeAlias = Callable[[Connection, argparse.Namespace], Awaitable[Iterable[str]]]
_Work: TypeAlias = Callable[[argparse.Namespace, Settings, Terminal], Coroutine[Any, Any, int]]


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the command line."""
    quarantine.add_commands(commands)
    criteria.add_commands(commands)
    commands.add_parser("migrate", help="bring the database up to date").set_defaults(work=_migrate)
    station = commands.add_parser("station", help="the catalogue of stations").add_subparsers(
        required=True, metavar="ACTION"
    )
    station.add_parser("list", help="all stations").set_defaults(work=_list_stations)
    add = station.add_parser("add", help="add a station and print its key")
    add.add_argument("name", help="WIGOS identifier, or a local one")
    add.add_argument("--zh", default="", help="Chinese name")
    add.add_argument("--en", default="", help="English name")
    add.add_argument("--longitude", type=float, help="degrees east")
    add.add_argument("--latitude", type=float, help="degrees north")
    add.add_argument("--elevation", type=float, help="metres")
    add.set_defaults(work=_add_station)
    key = station.add_parser("key", help="give a station a new key in place of its old one")
    key.add_argument("name")
    key.set_defaults(work=_renew_key)
    listed = station.add_parser("import", help="add or correct stations from a CSV file")
    listed.add_argument("file", type=Path, help="columns id,zh,en,longitude,latitude,elevation")
    listed.set_defaults(work=_import_stations)
    region = commands.add_parser("region", help="the regions that are warned").add_subparsers(
        required=True, metavar="ACTION"
    )
    region.add_parser("list", help="all regions").set_defaults(work=_list_regions)
    sample = region.add_parser("sample", help="draw sample regions round the stations")
    sample.set_defaults(work=_sample_regions)
    real = region.add_parser("import", help="real boundaries, in place of the sample regions")
    real.add_argument("file", type=Path, help="GeoJSON, WGS 84")
    real.add_argument("--id", default="id", help="property that identifies a region")
    real.add_argument("--zh", default="name", help="property with its Chinese name")
    real.add_argument("--en", default="name_en", help="property with its English name")
    real.add_argument(
        "--population", default="population", help="property with the number of its people"
    )
    real.add_argument("--swapped", action="store_true", help="latitude stands before longitude")
    real.set_defaults(work=_import_regions)
    people = region.add_parser("people", help="how many people live in each region")
    people.add_argument("file", type=Path, help="CSV: region (id or name), people")
    people.set_defaults(work=_count_people)


def _on_database(act: _Act) -> _Work:
    """Give the work that does ``act`` in one transaction and prints the lines it gives."""

    @functools.wraps(act)
    async def work(arguments: argparse.Namespace, settings: Settings, _: Terminal) -> int:
        async with (
            opened(settings) as ready,
            await Database.open(ready.store.url, name="fenghuo", size=1) as database,
            database.connection() as conn,
        ):
            try:
                lines = await act(conn, arguments)
            except (StationError, RegionError) as error:
                raise StartError("refused", reason=error) from error
        sys.stdout.writelines(f"{line}\n" for line in lines)
        return 0

    return work


@_on_database
async def _migrate(conn: Connection, _: argparse.Namespace) -> Iterable[str]:
    row = await (await conn.execute("SELECT max(number) FROM migration")).fetchone()
    return [f"schema {row[0]}"] if row else []


@_on_database
async def _list_stations(conn: Connection, _: argparse.Namespace) -> Iterable[str]:
    return [
        f"{place.name}\t{place.zh}\t{place.en}\t{place.longitude}\t{place.latitude}"
        for place in await stations.every(conn)
    ]


@_on_database
async def _add_station(conn: Connection, arguments: argparse.Namespace) -> Iterable[str]:
    entry = stations.Entry(
        name=arguments.name,
        zh=arguments.zh,
        en=arguments.en,
        longitude=arguments.longitude,
        latitude=arguments.latitude,
        elevation=arguments.elevation,
    )
    return [await stations.add(conn, entry, now=SystemClock().now())]


@_on_database
async def _renew_key(conn: Connection, arguments: argparse.Namespace) -> Iterable[str]:
    return [await stations.renew_key(conn, arguments.name)]


@_on_database
async def _import_stations(conn: Connection, arguments: argparse.Namespace) -> Iterable[str]:
    entries = stations.read(arguments.file)
    added = await stations.put(conn, entries, now=SystemClock().now())
    return [f"{len(entries)} stations, {added} of them new"]


@_on_database
async def _list_regions(conn: Connection, _: argparse.Namespace) -> Iterable[str]:
    members = await regions.membership(conn)
    return [
        f"{region.id}\t{region.zh}\t{region.en}\t{len(members[region.id])} stations"
        + ("\tsample" if region.sample else "")
        for region in await regions.load(conn)
    ]


@_on_database
async def _sample_regions(conn: Connection, _: argparse.Namespace) -> Iterable[str]:
    places = await stations.every(conn)
    found = regions.sample(places)
    await regions.save(conn, found)
    await regions.assign(conn, found, places)
    return [f"{len(found)} sample regions"]


@_on_database
async def _import_regions(conn: Connection, arguments: argparse.Namespace) -> Iterable[str]:
    found = regions.read(
        arguments.file,
        id_property=arguments.id,
        zh_property=arguments.zh,
        en_property=arguments.en,
        population_property=arguments.population,
        swapped=arguments.swapped,
    )
    await regions.retire_samples(conn)
    await regions.save(conn, found)
    await regions.assign(conn, found, await stations.every(conn))
    return [f"{len(found)} regions"]


@_on_database
async def _count_people(conn: Connection, arguments: argparse.Namespace) -> Iterable[str]:
    numbers = regions.populations(arguments.file)
    unknown = await regions.people(conn, numbers)
    if unknown:
        raise RegionError(f"{arguments.file.name}: no region {', '.join(unknown)}")
    return [f"{len(numbers)} regions, {sum(numbers.values())} people"]
