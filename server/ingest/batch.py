"""One batch: deliveries sorted into rows to be stored and reports that are refused."""

import datetime as dt

import msgspec

from agent.report import Refusal, Report
from server.ingest.columns import Row
from server.ingest.quarantine import keep
from server.ingest.source import Delivery
from server.store import sink

_EPOCH = sink.EPOCH


class _Many(msgspec.Struct):
    reports: list[msgspec.Raw]


class Place(Row, gc=False, eq=False):
    """A row, and which report of which delivery it is."""

    delivery: Delivery
    index: int


class Batch:
    """What is to be written: ``places`` by key, ``refused`` for the quarantine."""

    def __init__(self, *, earliest: dt.datetime, ahead: dt.timedelta) -> None:
        """Take between which times a reading can be true."""
        self._earliest = earliest
        self._ahead = ahead
        self.places: dict[sink.Key, Place] = {}
        self.refused: list[sink.Refused] = []
        self.contradicted: set[str] = set()
        self.duplicates = 0

    def put(self, delivery: Delivery, station: int | None) -> None:
        """Sort the reports of a delivery; ``station`` is its id, None where it has none."""
        earliest = self._earliest
        latest = delivery.received + self._ahead
        for index, item in enumerate(delivery.items):
            if isinstance(item, Refusal):
                self.refused.append(keep(delivery, item))
                continue
            if station is None:
                detail = f"{delivery.station} is not in the catalogue: add it, or mend the name"
                self.refuse(delivery, index, "station", detail)
                continue
            time = item.time
            if not earliest <= time <= latest:
                self.refuse(delivery, index, "time", self._untimely(time, delivery.received))
                continue
            past = time - _EPOCH
            moment = (past.days * 86_400 + past.seconds) * 1_000_000 + past.microseconds
            key = (station, moment)
            place = Place(station, moment, item, delivery, index)
            if key in self.places:
                self._again(key, place)
            else:
                self.places[key] = place

    def _again(self, key: sink.Key, place: Place) -> None:
        """Settle two readings of one station and time: the higher revision, else the first."""
        report, stored = place.report, self.places[key].report
        if report.revision > stored.revision:
            self.places[key] = place
        elif report.revision == stored.revision and not _same(report, stored):
            self._contradiction(place)
            return
        self.duplicates += 1

    def contradict(self, key: sink.Key) -> None:
        """Refuse a row whose like is stored with other values."""
        self._contradiction(self.places[key])

    def _contradiction(self, place: Place) -> None:
        self.contradicted.add(place.delivery.station)
        detail = (
            f"{place.delivery.station} has another reading of this time, with other values: "
            "correct it with a higher revision, or see whether two stations use one name"
        )
        self.refuse(place.delivery, place.index, "conflict", detail)

    def refuse(self, delivery: Delivery, index: int, reason: str, detail: str) -> None:
        """Put a report that was read well into the quarantine after all."""
        raw = delivery.payload
        if len(delivery.items) > 1:
            raw = bytes(msgspec.json.decode(raw, type=_Many).reports[index])
        refusal = Refusal(reason, detail, raw, delivery.items[index].seq)
        delivery.items[index] = refusal
        self.refused.append(keep(delivery, refusal))

    def _untimely(self, time: dt.datetime, received: dt.datetime) -> str:
        if time < self._earliest:
            return f"{time.isoformat()} comes from a clock that was never set: set it"
        ahead = (time - received).total_seconds()
        return f"{time.isoformat()} is {ahead:.0f} s in the future: set the clock"


def _same(one: Report, other: Report) -> bool:
    return _said(one) == _said(other)


def _said(report: Report) -> tuple[object, ...]:
    values = {name: value for name, value in report.values.items() if value is not None}
    return values, report.interval, report.position
