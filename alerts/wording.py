"""What a message says, in each language and for each channel, from the catalogue's templates."""

import datetime as dt
import zoneinfo
from collections.abc import Callable, Iterator, Mapping

import msgspec

from alerts import segments
from alerts.catalogue import Catalogue
from alerts.evidence import Evidence
from alerts.regions import Region
from alerts.warning import ENDING, Warning  # noqa: A004 - the domain's own word

FACTS = 5
"""Conditions that a long text lists at most."""


class Bureau(msgspec.Struct, frozen=True, kw_only=True):
    """Who speaks: the name in each language, the sender of CAP, the zone people here read."""

    agency: Mapping[str, str]
    sender: str
    zone: str = "Asia/Shanghai"
    web: str = ""

    @property
    def local(self) -> dt.tzinfo:
        """The time zone."""
        return zoneinfo.ZoneInfo(self.zone)


class Sms(msgspec.Struct, frozen=True, kw_only=True):
    """A text and the number of segments it takes."""

    body: str
    segments: int


class Bulletin(msgspec.Struct, frozen=True, kw_only=True):
    """The long texts of a message in one language."""

    event: str
    headline: str
    description: str
    instruction: str
    area: str
    note: str


class Writer:
    """Writes one message of a warning in one language.

    act: what the message does; at: when it is sent.
    """

    def __init__(
        self,
        warning: Warning,
        *,
        act: str,
        at: dt.datetime,
        region: Region,
        bureau: Bureau,
        catalogue: Catalogue,
        language: str,
    ) -> None:
        self._warning = warning
        self._act = act
        self._region = region
        self._language = language
        self._catalogue = catalogue
        self._local = bureau.local
        self._ends = act in ENDING
        self._common = {
            "mark": self._text("mark.exercise") if warning.exercise else "",
            "agency": bureau.agency[language],
            "hazard": self._text(f"danger.{warning.hazard}"),
            "level": self._text(f"level.{warning.level}.name"),
            "grade": self._text(f"level.{warning.level}.grade"),
            "class": self._text(f"level.{warning.level}.class"),
            "region": region.name(language),
            "time": self._moment(at),
        }
        self._common["head"] = self._text(f"head.{act}", **self._common)
        self._full = self._moment(at, form="full")

    def sms(self) -> Sms:
        """Give the text for a phone, in one segment where that is possible.

        Shortened in this order until it fits: when and where it was measured is left out, then
        the advice, then when and where and the advice. Exercise mark, bureau, place, danger and
        level are never left out; what does not fit without the rest takes more segments, complete.
        """
        forms = list(self._forms())
        for body in forms:
            if segments.count(body) == 1:
                return Sms(body=body, segments=1)
        return Sms(body=forms[0], segments=segments.count(forms[0]))

    def bulletin(self) -> Bulletin:
        """Give the long texts."""
        force = "high" if self._warning.level in {"orange", "red"} else "low"
        hazard = self._warning.hazard
        ending = "_end" if self._ends else ""
        facts = self._text("fact.joint").join(self._facts(self._fact))
        return Bulletin(
            event=self._text("cap.event", **self._common),
            headline=self._text(f"cap.headline{ending}", **self._common),
            description=self._text(
                f"cap.description{ending}", **{**self._common, "time": self._full, "facts": facts}
            ),
            instruction=self._text(
                f"after.{hazard}" if self._ends else f"instruction.{hazard}.{force}"
            ),
            area=self._text("cap.area_sample", region=self._common["region"])
            if self._region.sample
            else self._common["region"],
            note=self._text("cap.note") if self._warning.exercise else "",
        )

    def reason(self) -> str:
        """Say why it is proposed: what was measured, when it comes, and how far it is sure."""
        ground = self._warning.ground
        stations = {item.station for item in ground.evidence}
        parts = [self._text("fact.joint").join(self._facts(self._fact))]
        if ground.door == "expected":
            parts.append(self._why("onset", time=self._moment(ground.onset)))
        if ground.radar is not None:
            parts.append(self._why("radar", time=self._moment(ground.radar)))
        if len(stations) > 1:
            parts.append(self._why("stations", number=len(stations)))
        if ground.standing != "sound":
            parts.append(self._why(ground.standing))
        if ground.higher:
            level = self._text(f"level.{ground.higher}.name")
            parts.append(self._why(f"higher_{ground.doubt}", level=level))
        if ground.used is not None:
            parts.append(self._why(f"beyond_{ground.door}", number=ground.used))
        return self._why("sentence", facts=self._why("joint").join(parts))

    def _why(self, key: str, **values: object) -> str:
        return self._catalogue.text(f"proposal.{key}", self._language, **values)

    def _forms(self) -> Iterator[str]:
        """Give the texts for a phone, the best first."""
        hazard = self._warning.hazard
        if self._ends:
            guide = self._text(f"after.{hazard}")
            yield self._text("sms.end", **self._common, guide=guide)
            yield self._text("sms.end_short", **self._common)
            return
        force = "high" if self._warning.level in {"orange", "red"} else "low"
        guide = self._text(f"guide.{hazard}.{force}")
        full, brief = next(self._facts(self._fact)), next(self._facts(self._brief))
        yield self._text("sms.warning", **self._common, fact=full, guide=guide)
        yield self._text("sms.warning", **self._common, fact=brief, guide=guide)
        yield self._text("sms.short", **self._common, fact=full)
        yield self._text("sms.short", **self._common, fact=brief)

    def _facts(self, say: Callable[[Evidence], str]) -> Iterator[str]:
        """Say what the level rests on, the strongest first; never nothing."""
        ground = self._warning.ground
        known = [item for item in ground.evidence if self._speaks(item)]
        if not known:
            # A template may leave out a value it is given.
            when = self._moment(ground.onset)
            yield self._text(f"fact.{ground.door}_plain", hazard=self._common["hazard"], time=when)
            return
        said: set[str] = set()
        for item in known:
            text = say(item)
            if text not in said and len(said) < FACTS:
                said.add(text)
                yield text

    def _speaks(self, item: Evidence) -> bool:
        """Say whether there are words for it; a danger is told of even when a word is missing."""
        named = self._catalogue.has(f"warning.measure.{item.element}", self._language)
        return named and (item.value is not None or self._warning.ground.door == "expected")

    def _fact(self, item: Evidence) -> str:
        if self._warning.ground.door == "expected":
            return self._expected(item) + self._likelihood(item)
        now = "" if item.window else "_now"
        return self._text(
            f"fact.observed{now}",
            **self._measured(item),
            station=(item.zh if self._language == "zh" else item.en) or item.station,
            time=self._moment(item.time),
        )

    def _brief(self, item: Evidence) -> str:
        if self._warning.ground.door == "expected":
            return self._expected(item)
        now = "" if item.window else "_now"
        return self._text(f"fact.observed{now}_brief", **self._measured(item))

    def _expected(self, item: Evidence) -> str:
        now = "" if item.window else "_now"
        below = "_below" if "<" in item.comparison else ""
        return self._text(f"fact.expected{now}{below}", **self._measured(item))

    def _likelihood(self, item: Evidence) -> str:
        if item.probability is None:
            return ""
        return self._text("fact.probability", percent=round(100 * item.probability))

    def _measured(self, item: Evidence) -> dict[str, str]:
        unit = f"unit.{item.element}"
        plain = f"measure.{item.element}"
        below = "_below" if "<" in item.comparison else ""
        names = (f"{plain}_{item.statistic}{below}", f"{plain}_{item.statistic}", plain)
        named = (name for name in names if self._catalogue.has(f"warning.{name}", self._language))
        return {
            "measure": self._text(next(named, plain)),
            "value": "" if item.value is None else self._text(unit, number=_number(item.value)),
            "threshold": self._text(unit, number=_number(item.threshold)),
            "window": self._window(item.window),
        }

    def _window(self, seconds: int) -> str:
        for name, size in (("days", 86_400), ("hours", 3_600)):
            # Up to two days people count in hours.
            if seconds % size == 0 and seconds >= (3 * size if name == "days" else size):
                return self._text(f"window.{name}", number=seconds // size)
        return self._text("window.minutes", number=max(1, round(seconds / 60)))

    def _moment(self, moment: dt.datetime, *, form: str = "moment") -> str:
        local = moment.astimezone(self._local)
        values: dict[str, object] = {"day": local.day, "hour": local.hour, "minute": local.minute}
        if form == "full":
            values |= {"year": local.year, "month": local.month}
        else:
            values["month"] = self._text(f"month.{local.month}")
        return self._text(f"time.{form}", **values)

    def _text(self, key: str, **values: object) -> str:
        return self._catalogue.text(f"warning.{key}", self._language, **values)


def _number(value: float) -> str:
    """Write one digit after the point, none where it is zero or far too many."""
    rounded = round(value, 1 if abs(value) < 1_000 else None) or 0  # there is no minus nought
    return f"{rounded:.1f}".removesuffix(".0")
