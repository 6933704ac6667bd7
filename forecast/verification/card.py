"""The report card: everything that is said of a record, in one value that machines can read.

Its fields are the machine schema of ``fenghuo verify --json``: fields are added, never renamed.
Numbers that cannot be had (a rate of nothing) are null.
"""

from typing import Final

import msgspec

SCHEMA: Final = 1
HOUR: Final = 3_600


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """What counts as what; seconds.

    ahead: how long before an event a word announces it, and after its last word an alarm can come
    true. gap: without the threshold met for longer, the next time is another event. hold: words
    no further apart are one alarm. early: a lead of so much leaves time to act. samples, seed,
    confidence: of the bootstrap by days.
    """

    ahead: int = 3 * HOUR
    gap: int = 6 * HOUR
    hold: int = 2 * HOUR
    early: int = HOUR
    samples: int = 1_000
    seed: int = 1
    confidence: float = 0.9


class Range(msgspec.Struct, frozen=True):
    """A figure, and where it lies with the confidence of the rules."""

    value: float | None
    low: float | None
    high: float | None


class Score(msgspec.Struct, frozen=True, kw_only=True):
    """Of events: hits were announced before they began; what nobody announced has a lead of 0.

    lead: mean minutes over all events, as NOAA counts; lead_announced: over the announced ones.
    early: share of the events announced so long before that one can act (`Rules.early`).
    """

    events: int
    hits: int
    misses: int
    false_alarms: int
    pod: Range
    far: Range
    csi: Range
    lead: Range
    lead_announced: Range
    early: Range


class Cases(msgspec.Struct, frozen=True, kw_only=True):
    """Of station-moments at which a level is not yet met: "it will be within `Rules.ahead`"."""

    hits: int
    misses: int
    false_alarms: int
    pod: Range
    far: Range
    csi: Range


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """Station-moments, the rule beside persistence (null where that has no say).

    crossings: times at which a station goes from not met to met; crossings_early: of them, those
    announced `Rules.early` or longer before.
    """

    rule: Cases
    persistence: Cases | None
    crossings: int
    crossings_early: int


class Class(msgspec.Struct, frozen=True):
    """Probabilities between two edges: how many, their mean, how often it came true."""

    low: float
    high: float
    count: int
    mean: float | None
    came: float | None


class Chances(msgspec.Struct, frozen=True, kw_only=True):
    """Probabilities of station-moments at which the level is not yet met."""

    brier: float | None
    miscalibration: float | None
    discrimination: float | None
    uncertainty: float | None
    classes: tuple[Class, ...]


class Met(msgspec.Struct, frozen=True, kw_only=True):
    """One condition, and at how many stations it was met."""

    element: str
    statistic: str
    window: int
    comparison: str
    threshold: float
    stations: int


class LevelCard(msgspec.Struct, frozen=True, kw_only=True):
    """One level of a hazard.

    days: local days on which a station met it; stations: that met it; opened: stations at which
    it was observed or expected by the nowcast. network: the same of the first station of all.
    """

    level: str
    days: int
    stations: int
    opened: int
    conditions: tuple[Met, ...]
    score: Score
    network: Score
    cases: Comparison
    chances: Chances
    months: dict[str, Score]
    by_station: dict[str, Score]
    by_region: dict[str, Score]


class Graded(msgspec.Struct, frozen=True, kw_only=True):
    """FIRM: the mean penalty of the levels said, and of saying only what is met already."""

    score: float | None
    under: float | None
    over: float | None
    observing: float | None


class HazardCard(msgspec.Struct, frozen=True, kw_only=True):
    """One hazard.

    moments: at which there was something to judge it by, at any station. score, cases: the levels
    that occurred or were announced, together.
    """

    hazard: str
    moments: int
    score: Score
    cases: Comparison
    firm: Graded
    flip_flop: float | None
    levels: tuple[LevelCard, ...]


class Card(msgspec.Struct, frozen=True, kw_only=True):
    """The report card. begin, end: ISO 8601, UTC; moments: that were decided."""

    schema: int = SCHEMA
    begin: str
    end: str
    days: int
    moments: int
    stations: tuple[str, ...]
    rules: Rules
    hazards: tuple[HazardCard, ...]
