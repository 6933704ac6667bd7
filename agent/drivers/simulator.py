"""Invents plausible weather, for trying things out without an instrument."""

import datetime as dt
import math
import random
import threading
import zlib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from agent.drivers.port import Batch, DriverError, Site
from agent.report import Report


class Options(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Options of the driver.

    interval: seconds between readings. seed: of the random numbers; empty: the station's id.
    longitude, latitude, elevation: of the imagined place, degrees and m.
    showers: expected number of showers a day.
    """

    interval: Annotated[int, Meta(ge=1, le=86_400)] = 60
    seed: int | None = None
    longitude: Annotated[float, Meta(ge=-180, le=180)] = 116.4
    latitude: Annotated[float, Meta(ge=-90, le=90)] = 39.9
    elevation: Annotated[float, Meta(ge=-500, le=9_000)] = 50
    showers: Annotated[float, Meta(ge=0, le=100)] = 2


class Weather:
    """Weather of one place, a step at a time; the same seed gives the same weather.

    Temperature follows the season and the sun, wind and pressure are AR(1) processes, gusts stand
    above the mean wind by a folded normal, showers come and go as a two-state Markov chain.
    """

    def __init__(self, options: Options, *, seed: int) -> None:
        self._options = options
        self._random = random.Random(seed)  # noqa: S311 - weather, not a secret
        self._anomaly = self._random.gauss(0, 2)
        self._wind = self._random.gauss(0, 1)
        self._direction = self._random.uniform(0, 360)
        self._pressure = self._random.gauss(0, 5)
        self._rate = 0.0

    def step(self, time: dt.datetime) -> Report:
        """Give the reading whose interval ends at ``time``."""
        options, chance = self._options, self._random
        seconds = float(options.interval)
        self._anomaly = self._drift(self._anomaly, seconds, hours=12, spread=2)
        self._wind = self._drift(self._wind, seconds, hours=1, spread=1)
        self._pressure = self._drift(self._pressure, seconds, hours=36, spread=6)
        self._direction = (self._direction + chance.gauss(0, 0.35 * math.sqrt(seconds))) % 360
        self._shower(seconds)

        noon = _sun(time, options.longitude)
        temperature = _season(time, options) + 5 * noon + self._anomaly
        temperature -= min(6.0, self._rate / 5)
        spread = max(0.3, 9 + 5 * noon - self._rate / 2 - 2 * abs(self._anomaly))
        dew = temperature - spread
        wind = 3.0 * (1.1 + 0.4 * noon) * math.exp(0.5 * self._wind - 0.125) + self._rate / 15
        gust = wind * (1.25 + 0.3 * abs(chance.gauss(0, 1)))
        station = 1_013.25 + self._pressure
        station *= math.exp(-options.elevation / (29.3 * (temperature + 273.15)))
        values: dict[str, float | None] = {
            "air_temperature": round(temperature, 1),
            "dew_point_temperature": round(dew, 1),
            "relative_humidity": round(_humidity(temperature, dew)),
            "air_pressure": round(station, 1),
            "wind_speed": round(wind, 1),
            "wind_from_direction": round(self._direction) % 360,
            "wind_speed_of_gust": round(gust, 1),
            "wind_gust_from_direction": round(self._direction + chance.gauss(0, 12)) % 360,
            "precipitation_amount": round(self._rate * seconds / 3_600, 1),
        }
        return Report(time=time, values=values, interval=options.interval)

    def _drift(self, value: float, seconds: float, *, hours: float, spread: float) -> float:
        """Move an AR(1) process of this spread and decay on by some seconds."""
        keep = math.exp(-seconds / (hours * 3_600))
        return keep * value + spread * math.sqrt(1 - keep**2) * self._random.gauss(0, 1)

    def _shower(self, seconds: float) -> None:
        """Begin, keep or end a shower of half an hour on average; the rate is in mm/h."""
        days = seconds / 86_400
        if self._rate == 0:
            if self._random.random() < 1 - math.exp(-self._options.showers * days):
                self._rate = min(120.0, self._random.expovariate(1 / 12))
        elif self._random.random() < 1 - math.exp(-seconds / 1_800):
            self._rate = 0.0
        else:
            wobble = math.exp(0.3 * self._random.gauss(0, 1) * math.sqrt(min(seconds, 600) / 600))
            self._rate = min(120.0, max(0.2, self._rate * wobble))


class Simulator:
    """The driver ``simulator``."""

    def __init__(self, options: Mapping[str, Any], site: Site) -> None:
        """Take the options. Raises DriverError."""
        try:
            self._options = msgspec.convert(options, Options)
        except msgspec.ValidationError as error:
            raise DriverError(f"driver.options: {error}") from None
        self._site = site

    def read(self, *, mark: str, stop: threading.Event) -> Iterator[Batch]:
        """Give a reading at each full interval of the clock; ``mark`` is not used."""
        del mark
        weather, step = self._weather(), self._options.interval
        last = math.floor(self._site.clock.now().timestamp() / step) * step
        while True:
            pause = last + step - self._site.clock.now().timestamp()
            if stop.wait(max(0.0, pause)):
                return
            # A clock that was set back repeats no time; one that was set forward leaves a gap.
            last = max(last + step, math.floor(self._site.clock.now().timestamp() / step) * step)
            yield Batch((weather.step(dt.datetime.fromtimestamp(last, dt.UTC)),))

    def probe(self) -> str:
        """Invent one reading."""
        values = self._weather().step(self._site.clock.now()).values
        return ", ".join(f"{name} {value}" for name, value in values.items())

    def _weather(self) -> Weather:
        seed = self._options.seed
        given = zlib.crc32(self._site.station.encode()) if seed is None else seed
        return Weather(self._options, seed=given)


def _sun(time: dt.datetime, longitude: float) -> float:
    """Give the daily course, 1 at 15 h of local solar time, -1 at 3 h."""
    hour = (time.hour + time.minute / 60 + longitude / 15) % 24
    return math.cos((hour - 15) / 24 * 2 * math.pi)


def _season(time: dt.datetime, options: Options) -> float:
    """Give the mean temperature of the day, warmest at the end of July in the north."""
    day = time.timetuple().tm_yday
    height = math.cos((day - 205) / 365 * 2 * math.pi)
    tilt = options.latitude / 90
    mean = 28 - 45 * tilt**2 - options.elevation * 0.0065
    return mean + 34 * tilt * height * (1 - 0.3 * abs(tilt))


def _humidity(temperature: float, dew: float) -> float:
    """Give the relative humidity in %.

    Method: Magnus formula, coefficients of Sonntag 1990, doi:10.1127/metz/3/1994/51.
    """

    def pressure(value: float) -> float:
        return math.exp(17.62 * value / (243.12 + value))

    return min(100.0, 100 * pressure(dew) / pressure(temperature))
