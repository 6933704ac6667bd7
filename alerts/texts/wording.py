"""What a message says, in each language and for each channel, from the catalogue's templates."""

import datetime as dt
import uuid
import zoneinfo
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from alerts.catalogue import Catalogue
from alerts.life.evidence import Door
from alerts.life.message import compose
from alerts.life.warning import CLOSED, ENDING, Act, Own, Step, Warning  # noqa: A004 - the domain's own word
from alerts.regions import Region
from alerts.texts import segments
from alerts.texts.facts import Facts

ACK = "{ack}"
"""Where a text takes the recipient's own link to acknowledge; it is put in when it is sent."""

ACK_PATH = "/a/" + 16 * "x"
"""As long as such a link is behind the address of the centre; what counts segments needs it."""

NAMED = 4
"""Regions that are named where one message tells of several."""

COLOURS: Mapping[str, str] = {
    "blue": "#1f6fd6",
    "yellow": "#f5c518",
    "orange": "#f07d00",
    "red": "#d7191c",
}
"""How levels are painted where there is no style sheet."""


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

    def name(self, language: str) -> str:
        """Give the name in a language; in the last one that there is where it has none."""
        return self.agency.get(language) or list(self.agency.values())[-1]


class Sms(msgspec.Struct, frozen=True, kw_only=True):
    """A text and the number of segments it takes."""

    body: str
    segments: int


class Bulletin(msgspec.Struct, frozen=True, kw_only=True):
    """The long texts of a message in one language; restriction: who may read a closed one."""

    event: str
    headline: str
    description: str
    instruction: str
    area: str
    note: str
    restriction: str = ""


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """All that a channel may print of a message, in one language.

    mark: stands before what is an exercise. guide: short advice; spoken: for the ear, without
    signs. sms may hold ``ACK``. sender: the line that says who speaks. link: the public page of
    it. colour: #rrggbb. number: of the message in its event, from 1. boundaries: GeoJSON geometries
    of the places that it is for.
    """

    message: uuid.UUID
    warning: uuid.UUID
    act: str
    hazard: str
    level: str
    door: Door
    exercise: bool
    language: str
    mark: str
    agency: str
    sender: str
    region: str
    event: str
    headline: str
    description: str
    instruction: str
    guide: str
    sms: Sms
    spoken: str
    note: str
    sent: dt.datetime
    onset: dt.datetime
    expires: dt.datetime
    sent_text: str
    onset_text: str
    expires_text: str
    link: str
    ends: bool
    colour: str
    number: int = 1
    boundaries: tuple[Mapping[str, Any], ...] = ()


class Writer:
    """Writes one message of a warning in one language.

    act: what the message does; at: when it is sent; beside: further regions that it tells of.
    The warning's own text, where somebody wrote one in this language, goes before the templates.
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
        beside: Sequence[Region] = (),
    ) -> None:
        self._warning = warning
        self._act = act
        self._at = at
        self._region = region
        # What was drawn by hand is meant for those in it.
        drawn = None if beside else warning.area
        places = (region, *beside)
        self._boundaries = (drawn,) if drawn else tuple(place.boundary for place in places)
        self._bureau = bureau
        self._language = language
        self._catalogue = catalogue
        self._ends = act in ENDING
        self._kind = "end" if self._ends else act if act in CLOSED else "warning"
        self._own = warning.text.get(language, Own())
        self._facts = Facts(
            warning, catalogue=catalogue, language=language, zone=bureau.local, sense="eye"
        )
        self._ear = Facts(
            warning, catalogue=catalogue, language=language, zone=bureau.local, sense="ear"
        )
        self._place = self._named([region, *beside])
        self._common = self._values(self._facts, "mark.exercise")

    def _values(self, facts: Facts, mark: str) -> dict[str, str]:
        """Give the fields that every template may use."""
        warning = self._warning
        values = {
            "mark": self._text(mark) if warning.exercise else "",
            "agency": self._bureau.name(self._language),
            "hazard": self._text(f"danger.{warning.hazard}"),
            "level": self._text(f"level.{warning.level}.name"),
            "grade": self._text(f"level.{warning.level}.grade"),
            "class": self._text(f"level.{warning.level}.class"),
            "region": self._place,
            "time": facts.moment(self._at),
            "ack": ACK,
        }
        values["head"] = self._text(f"head.{self._act}", **values)
        values["onset"] = ""
        if warning.ground.onset > self._at:
            values["onset"] = self._text("notice.onset", time=facts.moment(warning.ground.onset))
        return values

    def sms(self) -> Sms:
        """Give the text for a phone, in one segment where that is possible.

        Shortened in this order until it fits: when and where it was measured is left out, then
        the advice, then when and where and the advice. Exercise mark, bureau, place, danger and
        level are never left out; what does not fit without the rest takes more segments, complete.
        """
        forms = list(self._forms())
        for body in forms:
            if self._parts(body) == 1:
                return Sms(body=body, segments=1)
        return Sms(body=forms[0], segments=self._parts(forms[0]))

    def bulletin(self) -> Bulletin:
        """Give the long texts."""
        common = {**self._common, "facts": self._facts.joint()}
        texts = {
            "headline": self._text(f"cap.headline.{self._kind}", **common),
            "description": self._text(
                f"cap.description.{self._kind}",
                **{**common, "time": self._facts.moment(self._at, form="full")},
            ),
            "instruction": self._instruction(),
        }
        values = {**common, "time": self._facts.moment(self._at, form="full")}
        for name, own in (
            ("headline", self._own.headline),
            ("description", self._own.description),
        ):
            if own:
                texts[name] = self._text(f"cap.{name}.own", **values, text=own)
        return Bulletin(
            event=self._text("cap.event", **self._common),
            headline=texts["headline"],
            description=texts["description"],
            instruction=self._own.instruction or texts["instruction"],
            area=self._text("cap.area_sample", region=self._place)
            if self._region.sample
            else self._place,
            note=self._text("cap.note") if self._warning.exercise else "",
            restriction=self._text("notice.restriction") if self._act in CLOSED else "",
        )

    def said(self) -> Said:
        """Give all of it; raises ValueError where the act is none that people hear of."""
        message = compose(Step(act=Act(self._act), warning=self._warning))
        long, web = self.bulletin(), self._bureau.web.rstrip("/")
        return Said(
            message=message.id,
            warning=message.warning,
            act=self._act,
            hazard=self._warning.hazard,
            level=message.level,
            door=message.door,
            exercise=message.exercise,
            language=self._language,
            mark=self._common["mark"],
            agency=self._common["agency"],
            sender=self._catalogue.text("legal.sender", self._language, **self._common),
            region=long.area,
            event=long.event,
            headline=long.headline,
            description=long.description,
            instruction=long.instruction,
            guide=self._guide(),
            sms=self.sms(),
            spoken=self._spoken(),
            note=long.note,
            sent=message.sent,
            onset=message.onset,
            expires=message.expires,
            sent_text=self._facts.moment(message.sent, form="full"),
            onset_text=self._facts.moment(message.onset, form="full"),
            expires_text=self._facts.moment(message.expires, form="full"),
            link=f"{web}/w/{message.warning}" if web and self._act not in CLOSED else "",
            ends=self._ends,
            colour=COLOURS[message.level],
            number=message.number,
            boundaries=self._boundaries,
        )

    def head(self) -> str:
        """Give the shortest text: what, how grave and where."""
        return self._common["head"]

    def reason(self) -> str:
        """Say why it is proposed: what was measured, when it comes, and how far it is sure."""
        ground = self._warning.ground
        stations = {item.station for item in ground.evidence}
        parts = [self._facts.joint()]
        if ground.door == "expected":
            parts.append(self._why("onset", time=self._facts.moment(ground.onset)))
        if ground.radar is not None:
            parts.append(self._why("radar", time=self._facts.moment(ground.radar)))
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

    def _forms(self) -> Iterator[str]:
        """Give the texts for a phone, the best first."""
        if self._own.sms:
            form = "notice" if self._kind == "notice" else "full"
            yield self._text(f"sms.own.{form}", **self._common, text=self._own.sms)
            return
        facts = [self._facts.first(), self._facts.brief()]
        if self._kind == "notice":
            del facts[1]  # a notice without its likelihood is none
        values = {**self._common, "guide": self._guide(), "chance": self._chance()}
        for form in ("full", "short"):
            for fact in facts:
                yield self._text(f"sms.{self._kind}.{form}", **values, fact=fact)

    def _chance(self) -> str:
        percent = self._facts.chance()
        return "" if percent is None else self._text("fact.probability", percent=percent)

    def _spoken(self) -> str:
        values = self._values(self._ear, "ear.exercise")
        own = self._own.description or self._own.sms or self._own.headline
        if own:
            return self._text("ear.own", **values, text=own)
        return self._text(
            f"ear.{self._kind}", **values, fact=self._ear.first(), guide=self._guide()
        )

    def _guide(self) -> str:
        """Give the short advice."""
        match self._kind:
            case "end":
                return self._text(f"after.{self._warning.hazard}")
            case "notice":
                return self._text("notice.guide")
            case "withdraw":
                return self._text("notice.withdrawn")
            case _:
                return self._text(f"guide.{self._warning.hazard}.{self._force}")

    def _instruction(self) -> str:
        """Give the long advice: the bureau's for this level, where it has one."""
        hazard, level = self._warning.hazard, self._warning.level
        if self._kind == "notice":
            return self._text("notice.instruction")
        if self._kind != "warning":
            return self._guide()
        if self._catalogue.has(f"legal.guide.{hazard}.{level}", self._language):
            return self._catalogue.text(f"legal.guide.{hazard}.{level}", self._language)
        return self._text(f"instruction.{hazard}.{self._force}")

    @property
    def _force(self) -> str:
        return "high" if self._warning.level in {"orange", "red"} else "low"

    def _named(self, regions: Sequence[Region]) -> str:
        """Name one region, or several in the order they are given."""
        names = [region.name(self._language) for region in regions]
        named = self._text("several.joint").join(names[:NAMED])
        if len(names) <= NAMED:
            return named
        return self._text("several.many", regions=named, number=len(names))

    def _parts(self, body: str) -> int:
        return segments.count(body.replace(ACK, self._bureau.web.rstrip("/") + ACK_PATH))

    def _why(self, key: str, **values: object) -> str:
        return self._catalogue.text(f"proposal.{key}", self._language, **values)

    def _text(self, key: str, **values: object) -> str:
        return self._catalogue.text(f"warning.{key}", self._language, **values)
