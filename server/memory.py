"""What the watch knows in memory: the nowcast's windows, by the stations of the catalogue."""

import datetime as dt
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from forecast.criteria import Book, Criteria
from forecast.nowcast import Nowcast
from forecast.quality import Checks, Judge
from forecast.readings import Readings
from server.judging import known, parts
from server.store import codes, observations
from server.store.connection import Connection
from server.store.pairs import Pairs
from server.store.stations import Station


class Memory:
    """The readings of the last days, numbered as the nowcast numbers the stations."""

    def __init__(self, book: Book | Criteria, places: Sequence[Station]) -> None:
        """Know the criteria that will be asked for, and the stations in their order."""
        self._checks = Checks.load()
        judge = Judge(
            self._checks,
            stations=len(places),
            longitude=_floats(place.longitude for place in places),
            latitude=_floats(place.latitude for place in places),
            elevation=_floats(place.elevation for place in places),
        )
        self.nowcast = Nowcast(criteria=book, stations=len(places), judge=judge, collect=True)
        self.index = {place.id: index for index, place in enumerate(places)}
        """Numbers by the id of the station."""
        self.undecided: set[int] = set()
        """Times of readings that came in."""
        self._ids = np.array([place.id for place in places], np.int64)
        self._named = {place.name: index for index, place in enumerate(places)}
        # The newest reading of each station, and the seconds that it covers.
        self._newest: NDArray[np.int64] = np.zeros(len(places), np.int64)
        self._interval: NDArray[np.int64] = np.zeros(len(places), np.int64)

    async def fill(self, conn: Connection, since: dt.datetime) -> None:
        """Read what the windows need: what was judged with its codes, the rest to be judged."""
        nowcast = self.nowcast
        start = since - dt.timedelta(seconds=nowcast.span)
        young = since - dt.timedelta(seconds=min(self._checks.span, nowcast.span))
        past = await observations.window(conn, start=start, end=young, elements=nowcast.elements)
        self._restore(past, {})
        recent, given = await observations.judged(conn, start=young, elements=nowcast.elements)
        judged = known(recent, given)
        mine = {name: column[judged] for name, column in given.items()}
        self._restore(recent.where(judged), mine)
        self._take(recent.where(~judged))

    async def read(self, conn: Connection, pairs: Pairs) -> None:
        """Take what was committed as it was measured: what failed the range is judged here too."""
        self._take(await observations.readings(conn, pairs, self.nowcast.elements, passed=False))

    def judged(self) -> Iterator[codes.Codes]:
        """Give the codes that were found since this was last asked."""
        return parts(self._ids, self.nowcast.codes())

    def heard(self, names: Iterable[str], moment: int, *, silence: float) -> bool:
        """Say whether each station has reported up to the moment, or is silent for long (s)."""
        index = [self._named[name] for name in names if name in self._named]
        age = moment - self._newest[index]
        fresh = age < 2 * self._interval[index]
        return bool(np.all(fresh | (age > silence)))

    def _take(self, columns: observations.Columns) -> None:
        found, _ = self._arrange(columns)
        if len(found):
            self.nowcast.put(found)
            self.undecided |= set(np.unique(found.time).tolist())

    def _restore(
        self, columns: observations.Columns, given: Mapping[str, NDArray[np.int16]]
    ) -> None:
        """Take what was judged before."""
        found, mine = self._arrange(columns)
        if len(found):
            self.nowcast.restore(found, {name: code[mine] for name, code in given.items()})
            self.undecided |= set(np.unique(found.time).tolist())

    def _arrange(self, columns: observations.Columns) -> tuple[Readings, NDArray[np.bool_]]:
        """Give the readings by the nowcast's stations, and which rows they are; note the newest."""
        index = np.array([self.index.get(station, -1) for station in columns.station.tolist()])
        mine = index >= 0
        station = index[mine].astype(np.int64)
        time, interval = columns.time[mine], columns.interval[mine]
        order = np.argsort(time, kind="stable")
        rows = order[time[order] >= self._newest[station[order]]]
        self._newest[station[rows]] = time[rows]
        self._interval[station[rows]] = interval[rows]
        values = {name: column[mine] for name, column in columns.values.items()}
        return Readings(station, time, interval, values), mine


def _floats(values: Iterable[float | None]) -> NDArray[np.float64]:
    """Give numbers, nan where there is none."""
    return np.array([np.nan if value is None else value for value in values], np.float64)
