"""The checks of each element, as ``checks.toml`` lists them: a pipeline that can be read."""

import tomllib
from collections.abc import Iterable, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Literal, TypeAlias

import msgspec

Pair: TypeAlias = tuple[float, float]


class Step(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Largest change from one reading to the next: after a minute, and after an hour.

    jump: that is there at once. spike: that is there at once and gone as fast.
    """

    jump: Pair
    spike: Pair | None = None


class Persistence(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Least change within ``window`` seconds, or `READINGS` readings where they take longer.

    unless: by element, [lowest, highest] in which its value excuses a flat line.
    """

    window: int
    change: float
    unless: Mapping[str, Pair] = {}


class Spatial(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Largest distance from the neighbours' median, in robust standard deviations.

    scale: on which they are compared. spread: the least standard deviation on that scale.
    gradient: change of the scaled value with each m of height; none: height does not matter.
    """

    limit: float
    spread: float
    scale: Literal["plain", "sqrt", "log"] = "plain"
    gradient: float | None = None


class Pipeline(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The checks of one element; what is not named is not made.

    range: plausible values. per_minute: the same of a sum, for each minute it covers.
    climatology: [lowest, highest] of the months, January first. innovation: largest one, in
    standard deviations. source: where the numbers come from.
    """

    source: str
    range: Pair | None = None
    per_minute: Pair | None = None
    step: Step | None = None
    persistence: Persistence | None = None
    climatology: tuple[Pair, ...] | None = None
    spatial: Spatial | None = None
    innovation: float | None = None


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One rule between the values of a reading; `forecast.quality.consistency` explains them.

    flags: the elements that fail with it.
    """

    rule: Literal["not_above", "calm", "humidity"]
    of: tuple[str, ...]
    tolerance: float
    flags: tuple[str, ...]


class Witness(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a jump is believed: other elements, or neighbours, have changed too.

    window: seconds before the jump in which the others must change. lasting: the same for a
    value that is far from its neighbours. needed: how many kinds of them, or all where a station
    has fewer. kinds: of each kind, elements and their least change
    (of a sum: their least amount). around: seconds before and after in which a neighbour must
    jump. share: part of the jump that the neighbour's must have.
    """

    window: int
    lasting: int
    needed: int
    kinds: Mapping[str, Mapping[str, float]]
    around: int
    share: float


class Network(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is a neighbour: nearest so many, km, m of height, and seconds that readings may differ.

    least: fewer neighbours make a station isolated.
    """

    nearest: int
    least: int
    radius: float
    height: float
    seconds: int


class Checks(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The pipelines of all elements, and what they share.

    late: seconds; what is older when it comes is judged by itself alone, and what is older than
    that is not judged again. wait: seconds until a reading is judged again because a neighbour
    has reported.
    """

    late: int
    wait: int
    witness: Witness
    network: Network
    rules: tuple[Rule, ...]
    pipelines: Mapping[str, Pipeline]

    @classmethod
    def load(cls, path: Path | None = None) -> "Checks":
        """Read a file, or the one of the project. Raises ValueError for one that makes no sense."""
        source = files(__package__).joinpath("checks.toml") if path is None else path
        table = tomllib.loads(source.read_text("utf-8"))
        shared = table.pop("all", {})
        rules = table.pop("consistency", [])
        checks: Checks = msgspec.convert({**shared, "rules": rules, "pipelines": table}, cls)
        for name, pipeline in checks.pipelines.items():
            if pipeline.range and pipeline.per_minute:
                raise ValueError(f"{name}: a range is of the value or per minute, not both")
            if pipeline.climatology is not None and len(pipeline.climatology) != 12:
                raise ValueError(f"{name}: climatology is of twelve months")
        for rule in checks.rules:
            if len(rule.of) != (3 if rule.rule == "humidity" else 2):
                raise ValueError(f"{rule.rule}: wrong number of elements")
        return checks

    @property
    def elements(self) -> frozenset[str]:
        """Name the elements that are judged."""
        return frozenset(self.pipelines)

    @property
    def reach(self) -> int:
        """Give the seconds before a reading that its code can depend on."""
        witness = self.witness
        windows = [p.persistence.window for p in self.pipelines.values() if p.persistence]
        flat = ROUND * max([READINGS * GAP, *windows])
        return max(witness.window, witness.lasting, witness.around + GAP, flat)

    @property
    def span(self) -> int:
        """Give the seconds of history that the windows must hold."""
        return self.late + self.reach

    def basis(self, elements: Iterable[str]) -> frozenset[str]:
        """Name what must be known to judge these elements: themselves, and what speaks for them."""
        wanted = frozenset(elements) & self.elements
        found = set(wanted)
        for name in wanted:
            persistence = self.pipelines[name].persistence
            found |= set(persistence.unless) if persistence else set()
        for rule in self.rules:
            if wanted & set(rule.flags):
                found |= set(rule.of)
        if any(self.pipelines[name].step or self.pipelines[name].spatial for name in wanted):
            for kind in self.witness.kinds.values():
                found |= set(kind)
        return frozenset(found)


READINGS = 5
"""Steps between readings that a flat line has at least."""

ROUND = 2
"""Times that a flat line of whole numbers must be longer."""

GAP = 5_400
"""Readings further apart (s) than this are not compared."""
