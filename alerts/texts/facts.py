"""What a warning rests on, in words: for the eye, or for the ear."""

import datetime as dt
from collections.abc import Iterator
from typing import Literal, TypeAlias

from alerts.catalogue import Catalogue
from alerts.life.evidence import Evidence
from alerts.life.warning import Warning  # noqa: A004 - the domain's own word

Sense: TypeAlias = Literal["eye", "ear"]

FACTS = 5
"""Conditions that a long text lists at most."""


class Facts:
    """The facts of one warning in one language.

    sense: units, times and likelihoods for the ear are words, where the eye has signs.
    """

    def __init__(
        self,
        warning: Warning,
        *,
        catalogue: Catalogue,
        language: str,
        zone: dt.tzinfo,
        sense: Sense = "eye",
    ) -> None:
        self._ground = warning.ground
        self._hazard = warning.hazard
        self._catalogue = catalogue
        self._language = language
        self._zone = zone
        self._prefix = "" if sense == "eye" else "ear."

    def all(self) -> list[str]:
        """Give them with station, time and likelihood, the strongest first; never none."""
        return list(self._every(brief=False))

    def joint(self) -> str:
        """Give them in one text."""
        return self._text("fact.joint").join(self.all())

    def first(self) -> str:
        """Give the strongest."""
        return next(self._every(brief=False))

    def brief(self) -> str:
        """Give the strongest without station, time and likelihood."""
        return next(self._every(brief=True))

    def chance(self) -> int | None:
        """Give the highest likelihood (%); None where none is known."""
        known = [item.probability for item in self._ground.evidence if item.probability is not None]
        return round(100 * max(known)) if known else None

    def moment(self, moment: dt.datetime, *, form: str = "moment") -> str:
        """Write a time as people here read or say it; form: ``moment`` or ``full``."""
        local = moment.astimezone(self._zone)
        values: dict[str, object] = {"day": local.day, "hour": local.hour, "minute": local.minute}
        if form == "full":
            values |= {"year": local.year, "month": local.month}
            return self._text("time.full", **values)
        values["month"] = self._text(f"{self._prefix}month.{local.month}")
        # On the hour nobody says the minutes.
        hour = "_hour" if self._prefix and not local.minute else ""
        return self._text(f"{self._prefix}time.moment{hour}", **values)

    def _every(self, *, brief: bool) -> Iterator[str]:
        known = [item for item in self._ground.evidence if self._speaks(item)]
        if not known:
            yield self._text(
                f"fact.{self._ground.door}_plain",
                hazard=self._text(f"danger.{self._hazard}"),
                time=self.moment(self._ground.onset),
            )
            return
        said: set[str] = set()
        for item in known:
            text = self._fact(item, brief=brief)
            if text not in said and len(said) < FACTS:
                said.add(text)
                yield text

    def _speaks(self, item: Evidence) -> bool:
        """Say whether there are words for it; a danger is told of even when a word is missing."""
        named = self._catalogue.has(f"warning.measure.{item.element}", self._language)
        return named and (item.value is not None or self._ground.door == "expected")

    def _fact(self, item: Evidence, *, brief: bool) -> str:
        now = "" if item.window else "_now"
        if self._ground.door == "expected":
            below = "_below" if "<" in item.comparison else ""
            text = self._text(f"fact.expected{now}{below}", **self._measured(item))
            return text if brief else text + self._likelihood(item)
        if brief:
            return self._text(f"fact.observed{now}_brief", **self._measured(item))
        return self._text(
            f"fact.observed{now}",
            **self._measured(item),
            station=getattr(item, self._language, "") or item.en or item.station,
            time=self.moment(item.time),
        )

    def _likelihood(self, item: Evidence) -> str:
        if item.probability is None:
            return ""
        percent = round(100 * item.probability)
        return self._text(f"{self._prefix or 'fact.'}probability", percent=percent)

    def _measured(self, item: Evidence) -> dict[str, str]:
        plain = f"measure.{item.element}"
        below = "_below" if "<" in item.comparison else ""
        names = (
            f"{self._prefix}{plain}",
            f"{plain}_{item.statistic}{below}",
            f"{plain}_{item.statistic}",
            plain,
        )
        named = (name for name in names if self._catalogue.has(f"warning.{name}", self._language))
        unit = f"{self._prefix}unit.{item.element}"
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
                return self._text(f"{self._prefix}window.{name}", number=seconds // size)
        return self._text(f"{self._prefix}window.minutes", number=max(1, round(seconds / 60)))

    def _text(self, key: str, **values: object) -> str:
        return self._catalogue.text(f"warning.{key}", self._language, **values)


def _number(value: float) -> str:
    """Write one digit after the point, none where it is zero or far too many."""
    rounded = round(value, 1 if abs(value) < 1_000 else None) or 0  # there is no minus nought
    return f"{rounded:.1f}".removesuffix(".0")
