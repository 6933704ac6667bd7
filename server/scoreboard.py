"""The report card as text: tables for a terminal, in the language of whoever reads them."""

import datetime as dt
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeAlias

from agent.elements import ELEMENTS
from alerts.catalogue import Catalogue
from forecast.verification.card import (
    Card,
    Cases,
    Chances,
    HazardCard,
    LevelCard,
    Met,
    Range,
    Score,
)

Row: TypeAlias = Sequence[str]

_HOUR = 3_600
_NONE = "–"


class Scoreboard:
    """Writes cards in a language; zone: of the times that are shown."""

    def __init__(self, catalogue: Catalogue, *, language: str, zone: dt.tzinfo) -> None:
        self._catalogue = catalogue
        self._language = language
        self._zone = zone

    def speaking(self, language: str) -> "Scoreboard":
        """Give the same in another language."""
        return Scoreboard(self._catalogue, language=language, zone=self._zone)

    def word(self, key: str, **values: object) -> str:
        """Give words of the topic ``verify``."""
        return self._catalogue.text(f"verify.{key}", self._language, **values)

    def lines(self, card: Card) -> list[str]:
        """Give the whole card."""
        rules = card.rules
        lines = [
            self.word("head.time", begin=self._moment(card.begin), end=self._moment(card.end)),
            self.word(
                "head.rules",
                ahead=_hours(rules.ahead),
                gap=_hours(rules.gap),
                confidence=round(rules.confidence * 100),
                samples=rules.samples,
            ),
        ]
        loud = [hazard for hazard in card.hazards if _loud(hazard.score)]
        for hazard in loud:
            lines += ["", *self._hazard(hazard, ahead=_hours(rules.ahead))]
        quiet = [h for h in card.hazards if h not in loud and h.moments]
        blind = [h for h in card.hazards if h not in loud and not h.moments]
        for key, hazards in (("head.quiet", quiet), ("head.blind", blind)):
            if hazards:
                names = ", ".join(self.hazard(hazard.hazard) for hazard in hazards)
                lines += ["", self.word(key, hazards=names)]
        return lines

    def hazard(self, name: str) -> str:
        """Give the name of a hazard."""
        return self._catalogue.text(f"warning.hazard.{name}", self._language)

    def level(self, name: str) -> str:
        """Give the name of a level."""
        return self._catalogue.text(f"warning.level.{name}.name", self._language)

    def _columns(self, *names: str) -> Row:
        return [self.word(f"column.{name}") if name else "" for name in names]

    def _hazard(self, hazard: HazardCard, *, ahead: str) -> list[str]:
        # A level that nobody met nor spoke of has no line, but its nought is said where it counts.
        shown = [level for level in hazard.levels if _loud(level.score) or level.opened]
        name = self.hazard(hazard.hazard)
        lines = [name, "=" * _width(name), "", self.word("table.events")]
        head = self._columns("level", "days", "stations", "opened", *_EVENTS)
        rows = [[self.level(x.level), f"{x.days}", f"{x.stations}", f"{x.opened}", *_score(x.score)]
                for x in hazard.levels]  # fmt: skip
        rows.append([self.word("column.all"), "", "", "", *_score(hazard.score)])
        lines += _table(head, rows)
        for level in shown:
            lines.append(f"  {self.level(level.level)}: {self._met(level.conditions)}")
        lines += ["", self.word("table.network")]
        lines += _table(
            self._columns("level", *_EVENTS),
            [[self.level(level.level), *_score(level.network)] for level in shown],
        )
        lines += ["", self.word("table.cases", ahead=ahead), *self._cases(hazard)]
        lines += self._groups("table.months", "month", shown, lambda level: level.months)
        lines += self._groups("table.regions", "region", shown, lambda level: level.by_region)
        lines += self._chances(shown, ahead)
        firm = hazard.firm
        numbers = {
            key: _number(getattr(firm, key), 4) for key in ("score", "under", "over", "observing")
        }
        return [
            *lines,
            "",
            self.word("table.firm", **numbers, flip_flop=_number(hazard.flip_flop, 3)),
        ]

    def _cases(self, hazard: HazardCard) -> list[str]:
        head = self._columns("level", "rule", "pod", "far", "csi")
        parts = [(self.level(level.level), level.cases) for level in hazard.levels]
        parts.append((self.word("column.all"), hazard.cases))
        held = any(cases.persistence for _, cases in parts)
        if held:
            head = [*head, *self._columns("persistence", "pod", "far", "csi")]
        head = [*head, *self._columns("crossings", "crossings_early")]
        rows = []
        for name, cases in parts:
            row = [name, *_cases(cases.rule)]
            if held:
                row += _cases(cases.persistence) if cases.persistence else [_NONE] * 4
            rows.append([*row, f"{cases.crossings}", f"{cases.crossings_early}"])
        return _table(head, rows)

    def _groups(
        self,
        title: str,
        column: str,
        levels: Iterable[LevelCard],
        of: Callable[[LevelCard], Mapping[str, Score]],
    ) -> list[str]:
        rows = [
            [name, self.level(level.level), *_score(score)]
            for level in levels
            for name, score in of(level).items()
        ]
        if not rows:
            return []
        return ["", self.word(title), *_table(self._columns(column, "level", *_EVENTS), rows)]

    def _chances(self, levels: Iterable[LevelCard], ahead: str) -> list[str]:
        lines: list[str] = []
        for level in levels:
            rows = [
                [f"{c.low:g}–{c.high:g}", f"{c.count:,}", _number(c.mean, 3), _number(c.came, 3)]
                for c in level.chances.classes
                if c.count
            ]
            if len(rows) > 1:
                lines += [f"  {self.level(level.level)}: {self._brier(level.chances)}"]
                lines += _table(self._columns("chance", "count", "mean", "came"), rows)
        return ["", self.word("table.chances", ahead=ahead), *lines] if lines else []

    def _brier(self, chances: Chances) -> str:
        names = ("brier", "miscalibration", "discrimination", "uncertainty")
        return self.word(
            "table.brier", **{name: _number(getattr(chances, name), 5) for name in names}
        )

    def _met(self, conditions: Iterable[Met]) -> str:
        said = []
        for met in conditions:
            element = ELEMENTS[met.element]
            label = element.zh if self._language == "zh" else element.en
            said.append(
                self.word(
                    "table.windowed" if met.window else "table.condition",
                    element=label,
                    window=_hours(met.window),
                    comparison=met.comparison.replace(">=", "≥").replace("<=", "≤"),
                    threshold=f"{met.threshold:g}",
                    unit=element.unit,
                    stations=met.stations,
                )
            )
        return self.word("table.met", conditions="; ".join(said))

    def _moment(self, text: str) -> str:
        if not text:
            return _NONE
        return dt.datetime.fromisoformat(text).astimezone(self._zone).strftime("%Y-%m-%d %H:%M")


_EVENTS = ("events", "hits", "false_alarms", "pod", "far", "csi", "lead", "lead_announced", "early")


def _loud(score: Score) -> bool:
    return bool(score.events or score.false_alarms)


def _score(score: Score) -> list[str]:
    return [
        f"{score.events}",
        f"{score.hits}",
        f"{score.false_alarms}",
        *(_range(part) for part in (score.pod, score.far, score.csi)),
        _range(score.lead, 0),
        _range(score.lead_announced, 0),
        _range(score.early),
    ]


def _cases(cases: Cases) -> list[str]:
    counts = f"{cases.hits}/{cases.misses}/{cases.false_alarms}"
    return [counts, _range(cases.pod), _range(cases.far), _range(cases.csi)]


def _range(part: Range, digits: int = 2) -> str:
    if part.low is None or part.high is None:
        return _number(part.value, digits)
    return f"{_number(part.value, digits)} [{part.low:.{digits}f}–{part.high:.{digits}f}]"


def _number(value: float | None, digits: int) -> str:
    return _NONE if value is None else f"{value:.{digits}f}"


def _hours(seconds: int) -> str:
    return f"{seconds / _HOUR:g}"


def _table(head: Row, rows: Iterable[Row]) -> list[str]:
    """Lay out columns: the first to the left, the others to the right."""
    every = [head, *rows]
    widths = [max(_width(row[column]) for row in every) for column in range(len(head))]
    return [
        "  "
        + "  ".join(
            cell + " " * (width - _width(cell))
            if column == 0
            else " " * (width - _width(cell)) + cell
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in every
    ]


def _width(text: str) -> int:
    """Give the columns of a terminal that a text takes: a Chinese character takes two."""
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)
