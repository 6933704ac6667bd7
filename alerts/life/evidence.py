"""Why a warning: the stations, the values and the thresholds, with the names that people read."""

import datetime as dt
import math
from collections.abc import Sequence
from typing import Protocol

import msgspec

from forecast.criteria import LEVELS
from forecast.proposal import Door, Proposal, Standing

__all__ = ["LEVELS", "Case", "Door", "Evidence", "Place", "Standing", "named", "rank"]


def rank(level: str) -> int:
    """Give 0 for blue … 3 for red; raises ValueError for anything else."""
    return LEVELS.index(level)


class Evidence(msgspec.Struct, frozen=True, kw_only=True):
    """One condition that one station meets, or is expected to meet.

    station: its name in the catalogue; zh, en: what people call it.
    statistic: how the values of the window were combined; window: s, 0 for a single reading.
    value, threshold: in the element's unit; probability: 0 to 1, of what is expected.
    time: when it was met, in the readings' own time.
    quality: code of the newest reading's value; 0: not checked.
    """

    station: str
    zh: str
    en: str
    element: str
    statistic: str
    window: int
    value: float | None
    threshold: float
    comparison: str
    probability: float | None
    time: dt.datetime
    quality: int = 0


class Case(msgspec.Struct, frozen=True, kw_only=True):
    """A proposal with names: what speaks for a level of a danger at a place.

    onset: when it was met, or is expected to be; without one, `time`. standing, fading and
    unsure as in `forecast.proposal.Proposal`. used: proposals of low levels that this place had
    in this season, where it has had as many as the policy's budget gives it. radar: of when the
    picture is that was looked at.
    """

    hazard: str
    region: str
    level: str
    door: Door
    time: dt.datetime
    evidence: tuple[Evidence, ...]
    standing: Standing = "sound"
    onset: dt.datetime | None = None
    fading: bool = False
    unsure: "Case | None" = None
    used: int | None = None
    radar: dt.datetime | None = None

    @property
    def begins(self) -> dt.datetime:
        """When the danger began or is expected to."""
        return self.onset or self.time

    @property
    def firm(self) -> bool:
        """Whether it may open and raise a level."""
        return self.standing == "sound" and not self.fading

    @property
    def stations(self) -> frozenset[str]:
        """Names of the stations that carry it."""
        return frozenset(item.station for item in self.evidence)


class Place(Protocol):
    """What must be known of a station to name it: a row of the station catalogue has it."""

    @property
    def name(self) -> str:
        """Identifier."""

    @property
    def zh(self) -> str:
        """Chinese name."""

    @property
    def en(self) -> str:
        """English name."""


def named(
    proposal: Proposal,
    *,
    regions: Sequence[str],
    stations: Sequence[Place],
    at: dt.datetime | None = None,
) -> Case:
    """Put identifiers and names in the place of positions.

    regions, stations: in the order that the forecast was given them. at: the moment that was
    looked at, which leads count from.
    """
    expected = at is not None and proposal.door == "expected"
    unsure = proposal.unsure
    return Case(
        hazard=proposal.hazard,
        region=regions[proposal.region],
        level=proposal.level,
        door=proposal.door,
        time=_moment(proposal.time),
        standing=proposal.standing,
        onset=at + dt.timedelta(seconds=proposal.lead) if at and expected else None,
        fading=proposal.fading,
        radar=None if proposal.radar is None else _moment(proposal.radar),
        unsure=named(unsure, regions=regions, stations=stations, at=at) if unsure else None,
        evidence=tuple(
            Evidence(
                station=stations[item.station].name,
                zh=stations[item.station].zh,
                en=stations[item.station].en,
                element=item.element,
                statistic=item.statistic,
                window=item.window,
                # NaN has no place in JSON; a value that is not known is none.
                value=item.value if math.isfinite(item.value) else None,
                threshold=item.threshold,
                comparison=item.comparison,
                probability=item.probability,
                time=_moment(item.time),
                quality=item.quality,
            )
            for item in proposal.evidence
        ),
    )


def _moment(seconds: int) -> dt.datetime:
    return dt.datetime.fromtimestamp(seconds, dt.UTC)
