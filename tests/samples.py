"""Made-up places, readings and warnings for tests of alerts."""

import datetime as dt
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any, NamedTuple

import msgspec
import psycopg

from alerts import regions
from alerts.bureau.policy import Policy
from alerts.catalogue import Catalogue
from alerts.life import ledger
from alerts.life.course import advance
from alerts.life.evidence import Case, Door, Evidence
from alerts.life.ledger import Desk
from alerts.life.warning import Step, Terms
from alerts.people import contacts, subscribers
from alerts.people.contacts import Address
from alerts.people.sealing import KEY_BYTES, Seal
from alerts.regions import Region
from alerts.texts.wording import Bureau

START = dt.datetime(2016, 7, 20, 0, tzinfo=dt.UTC)

SEAL = Seal(bytes(KEY_BYTES))
"""By which the names and numbers of tests are sealed."""

LEVELS_OF = {
    "typhoon": "blue yellow orange red",
    "rainstorm": "blue yellow orange red",
    "snowstorm": "blue yellow orange red",
    "cold_wave": "blue yellow orange red",
    "gale": "blue yellow orange red",
    "sandstorm": "yellow orange red",
    "high_temperature": "yellow orange red",
    "drought": "orange red",
    "lightning": "yellow orange red",
    "hail": "orange red",
    "frost": "blue yellow orange",
    "heavy_fog": "yellow orange red",
    "haze": "yellow orange",
    "road_icing": "yellow orange red",
}
"""The 44 levels of the 14 national signals."""

SIGNALS = [(hazard, level) for hazard, levels in LEVELS_OF.items() for level in levels.split()]

MEASURED = {
    "typhoon": ("wind_speed_of_gust", "value", 0, 33.1, 32.7, ">="),
    "rainstorm": ("precipitation_amount", "sum", 10_800, 62.5, 50.0, ">="),
    "snowstorm": ("lwe_thickness_of_snowfall_amount", "sum", 43_200, 6.2, 6.0, ">="),
    "cold_wave": ("air_temperature", "drop", 86_400, 12.4, 12.0, ">="),
    "gale": ("wind_speed", "max", 3_600, 21.0, 20.8, ">="),
    "sandstorm": ("visibility_in_air", "value", 0, 430.0, 500.0, "<"),
    "high_temperature": ("air_temperature", "days", 259_200, 35.6, 35.0, ">="),
    "frost": ("surface_temperature", "value", 0, -3.4, -3.0, "<="),
    "heavy_fog": ("visibility_in_air", "value", 0, 180.0, 200.0, "<"),
    "haze": (
        "mass_concentration_of_pm2p5_ambient_aerosol_particles_in_air",
        "value", 0, 260.0, 250.0, ">",
    ),
    "road_icing": ("road_surface_temperature", "value", 0, -1.2, 0.0, "<"),
}  # fmt: skip
"""What an instrument would show; dangers without an instrument are not here."""


def later(hours: float) -> dt.datetime:
    return START + dt.timedelta(hours=hours)


def evidence(
    hazard: str = "rainstorm", *, door: Door = "observed", at: dt.datetime = START
) -> tuple[Evidence, ...]:
    if hazard not in MEASURED:
        return ()
    element, statistic, window, value, threshold, comparison = MEASURED[hazard]
    item = Evidence(
        station="54399",
        zh="海淀",
        en="Haidian",
        element=element,
        statistic=statistic,
        window=window,
        value=value,
        threshold=threshold,
        comparison=comparison,
        probability=0.7 if door == "expected" else None,
        time=at,
    )
    return (item,)


def case(
    level: str = "blue",
    *,
    hazard: str = "rainstorm",
    door: Door = "observed",
    region: str = "54399",
    at: dt.datetime = START,
) -> Case:
    return Case(
        hazard=hazard,
        region=region,
        level=level,
        door=door,
        time=at,
        evidence=evidence(hazard, door=door, at=at),
    )


def step(
    level: str = "blue",
    *,
    hazard: str = "rainstorm",
    door: Door = "observed",
    exercise: bool = True,
    at: dt.datetime = START,
) -> Step:
    """The first step of a warning."""
    found = advance(
        None,
        case(level, hazard=hazard, door=door, at=at),
        at=at,
        complete=True,
        terms=Terms(),
        exercise=exercise,
    )
    assert found is not None
    return found


REGION = Region(
    id="54399",
    zh="海淀",
    en="Haidian",
    boundary={
        "type": "Polygon",
        "coordinates": [
            [[116.2, 39.9], [116.4, 39.9], [116.4, 40.1], [116.2, 40.1], [116.2, 39.9]]
        ],
    },
    sample=True,
)


class Station(NamedTuple):
    """What regions want to know of a station."""

    id: int
    name: str
    longitude: float | None
    latitude: float | None
    zh: str = ""
    en: str = ""


BUREAU = Bureau(
    agency={"zh": "示范气象台", "en": "Sample Weather Bureau"}, sender="warnings@fenghuo.example"
)


def desk(*channels: str) -> Desk:
    return Desk(
        bureau=BUREAU, policy=Policy.load(), catalogue=Catalogue.load(), channels=tuple(channels)
    )


class Fixed:
    """A clock that stands until it is set."""

    def __init__(self, now: dt.datetime = START) -> None:
        self.time = now

    def now(self) -> dt.datetime:
        return self.time


def connector(url: str) -> Callable[[], AbstractAsyncContextManager[psycopg.AsyncConnection[Any]]]:
    """A way to borrow connections, as the pool gives them."""

    @asynccontextmanager
    async def lent() -> AsyncIterator[psycopg.AsyncConnection[Any]]:
        async with await psycopg.AsyncConnection.connect(url) as conn:
            yield conn

    return lent


def phone(number: str) -> tuple[Address, ...]:
    """The addresses of somebody who is reached by SMS."""
    return (contacts.read("sms", number),)


async def prepare(url: str, *, people: int = 0) -> psycopg.AsyncConnection[Any]:
    """Give a connection to a database with one region and its sample subscribers, or so many."""
    conn = await psycopg.AsyncConnection.connect(url)
    await regions.save(conn, [REGION])
    if not people:
        await subscribers.save(conn, subscribers.sample([REGION]), seal=SEAL, at=START)
    else:
        first = subscribers.sample([REGION])[0]
        crowd = [
            msgspec.structs.replace(first, addresses=phone(f"+86199{number:08}"))
            for number in range(people)
        ]
        await subscribers.save(conn, crowd, seal=SEAL, at=START)
    await conn.commit()
    return conn


async def announce(
    conn: psycopg.AsyncConnection[Any], *, exercise: bool = True, channels: tuple[str, ...] = ()
) -> Step:
    """Issue a blue rainstorm warning and commit it."""
    found = step(exercise=exercise)
    await ledger.record(conn, found, desk=desk(*channels))
    await conn.commit()
    return found
