"""Official lists of people: columns known by their headers, lines that cannot be used named.

Pure: rows of a table in, people and faults out. What a header or a cell may say is in
``headers.toml``; `alerts.people.subscribers.save` writes the people.
"""

import datetime as dt
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from alerts.bureau.policy import Level, Tier
from alerts.catalogue import LANGUAGES, Catalogue
from alerts.people import contacts, headers
from alerts.people.contacts import Address, ContactError
from alerts.people.headers import Columns, Field
from alerts.people.places import EVERYWHERE, Places, plain
from alerts.people.subscribers import Subscriber
from alerts.people.tables import Row, TableError

_REACHING: tuple[Field, ...] = ("phone", "voice", "fax", "email")
_LISTED = re.compile(r"[、,;/|\n]+")
_QUIET = re.compile(r"(\d{1,2})(?::(\d\d))?(?:点|时)?[-~至到]+(\d{1,2})(?::(\d\d))?(?:点|时)?")
_LANGUAGES = {
    "中文": "zh",
    "汉语": "zh",
    "chinese": "zh",
    "英文": "en",
    "英语": "en",
    "english": "en",
}


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with a line: ``people.fault.{code}`` of the catalogue, with its values.

    column: header of the column; empty where it is the line as a whole.
    """

    line: int
    column: str
    code: str
    values: dict[str, Any] = {}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What a list says.

    columns: each header with what it was taken for; None: not known, and not read.
    people: those who can be saved. faults: lines that cannot be used; remarks: what was left out
    of a line that can.
    """

    columns: Columns
    people: tuple[Subscriber, ...]
    faults: tuple[Fault, ...]
    remarks: tuple[Fault, ...]


class Defaults(msgspec.Struct, frozen=True, kw_only=True):
    """What counts where the list has no column, or nothing in it.

    call: whoever has a mobile telephone and no other number is called there, too.
    """

    tier: Tier | None = None
    group: str = ""
    region: str = ""
    call: bool = False
    language: str = LANGUAGES[0]


def plan(
    rows: Iterable[Row],
    *,
    places: Places,
    mapping: Mapping[str, Field] | None = None,
    defaults: Defaults | None = None,
) -> Plan:
    """Read a list; ``mapping`` corrects what a header was taken for.

    Raises TableError where there are no headers, none of an address, or no tier.
    """
    defaults = defaults or Defaults()
    table = list(rows)
    head, columns = headers.columns(table, mapping or {})
    taken = {field for _, field in columns}
    if not taken & set(_REACHING):
        raise TableError("no_address", headers=headers.joined(columns))
    if "tier" not in taken and defaults.tier is None:
        raise TableError("no_tier")
    reader = _Reader(columns, places=places, defaults=defaults)
    people = [person for row in table[head + 1 :] if (person := reader.read(row)) is not None]
    return Plan(
        columns=columns,
        people=tuple(people),
        faults=tuple(reader.faults),
        remarks=tuple(reader.remarks),
    )


class _Reader:
    """Reads line after line, and remembers what was wrong and who was there before."""

    def __init__(
        self,
        columns: Columns,
        *,
        places: Places,
        defaults: Defaults,
    ) -> None:
        self.faults: list[Fault] = []
        self.remarks: list[Fault] = []
        self._columns = columns
        self._places = places
        self._defaults = defaults
        self._lines: dict[tuple[str, str], int] = {}
        self._turns: dict[str, int] = {}
        self._ordered = any(field == "turn" for _, field in columns)
        self._hazards = _hazards()
        self._near: dict[str, str] = {}
        self._row = Row(0, ())

    def read(self, row: Row) -> Subscriber | None:
        """Give the person of a line; None after noting what is wrong with it."""
        self._row = row
        before = len(self.faults)
        addresses = self._addresses()
        tier = self._tier()
        regions = self._regions()
        groups = self._groups()
        language = self._one("language", self._language) or self._defaults.language
        lowest: Level = self._one("lowest", headers.level) or "blue"
        quiet = self._one("quiet", self._quiet)
        turn = self._one("turn", self._number) or 0
        hazards = self._all("hazards", self._hazard)
        if len(self.faults) > before or tier is None or not addresses:
            return None
        unit = " ".join(text for _, text in self._cells("unit"))
        name = " ".join(text for _, text in self._cells("name")) or unit or addresses[0].hint
        post = " ".join(text for _, text in self._cells("post"))
        for address in addresses:
            self._lines[address.channel, address.key] = row.number
        return Subscriber(
            name=name,
            post=" ".join(part for part in (unit if unit != name else "", post) if part),
            tier=tier,
            addresses=addresses,
            language=language,
            lowest=lowest,
            hazards=hazards,
            regions=regions,
            groups=groups,
            turn=turn if self._ordered or tier != "officer" else self._next(groups or regions),
            quiet_from=quiet[0] if quiet else None,
            quiet_until=quiet[1] if quiet else None,
        )

    def _cells(self, *fields: Field) -> list[tuple[str, str]]:
        """Give header and text of what is filled of these fields, in their order."""
        return [
            (name, self._row.cells[place])
            for wanted in fields
            for place, (name, field) in enumerate(self._columns)
            if field == wanted and place < len(self._row.cells) and self._row.cells[place]
        ]

    def _fault(self, column: str, code: str, **values: Any) -> None:
        fault = Fault(line=self._row.number, column=column, code=code, values=values)
        self.faults.append(fault)

    def _addresses(self) -> tuple[Address, ...]:
        """Give one address a channel; a bad one is left out while another is good."""
        found: dict[str, Address] = {}
        left: list[Fault] = []
        for field in _REACHING:
            for column, text in self._cells(field):
                for piece in _numbers(text) if field != "email" else [text]:
                    code, values = self._address(field, piece, found)
                    if code:
                        line = self._row.number
                        left.append(Fault(line=line, column=column, code=code, values=values))
        if self._defaults.call and "sms" in found and "voice" not in found:
            found["voice"] = contacts.read("voice", found["sms"].text)
        if found:
            self.remarks += left
            return tuple(found.values())
        self.faults.extend(left)
        if not left:
            self._fault("", "no_address")
        return ()

    def _address(
        self, field: Field, text: str, found: dict[str, Address]
    ) -> tuple[str, dict[str, Any]]:
        """Add an address; give the code of what is wrong with it, and its values."""
        try:
            address = contacts.read({"phone": "sms"}.get(field, field), text)
        except ContactError as error:
            if error.code != "landline":
                return f"address_{error.code}", {}
            address = contacts.read("voice", text)
        line = self._lines.get((address.channel, address.key))
        if line is not None:
            return "twice", {"other": line}
        if address.channel in found:
            return "second", {}
        found[address.channel] = address
        return "", {}

    def _tier(self) -> Tier | None:
        for column, text in self._cells("tier"):
            tier = headers.tier(text)
            if tier is None and self._defaults.tier is None:
                self._fault(column, "tier", said=text)
            return tier or self._defaults.tier
        if self._defaults.tier is None:
            self._fault("", "tier", said="")
        return self._defaults.tier

    def _regions(self) -> tuple[str, ...]:
        """Give the regions of the narrowest column that names one we have."""
        cells = self._cells("village", "town", "region")
        if not cells and self._defaults.region:
            cells = [("", self._defaults.region)]
        for _, text in cells:
            names = [name for name in _LISTED.split(_narrow(text)) if name]
            found = [self._region(name) for name in names]
            if found and all(found):
                return tuple(dict.fromkeys(id_ for ids in found for id_ in ids))
        if not cells:
            self._fault("", "no_region")
        else:
            column, text = cells[-1]
            self._fault(column, "region", said=text, near=self._nearest(text))
        return ()

    def _nearest(self, text: str) -> str:
        """Give what could be meant; asked once for a name, however many lines have it."""
        if text not in self._near:
            near = self._places.search(text, limit=1)
            self._near[text] = near[0].zh if near else "—"
        return self._near[text]

    def _region(self, name: str) -> list[str]:
        if plain(name) in EVERYWHERE:
            return [region.id for region in self._places.regions]
        found = self._places.named(name)
        return [found[0].id] if len(found) == 1 else []

    def _groups(self) -> tuple[str, ...]:
        said = [name.strip() for _, text in self._cells("group") for name in _LISTED.split(text)]
        return tuple(dict.fromkeys(name for name in [*said, self._defaults.group] if name))

    def _next(self, names: Sequence[str]) -> int:
        """Give the next turn of a group: where no column says it, the list's order does."""
        group = names[0] if names else ""
        self._turns[group] = self._turns.get(group, 0) + 1
        return self._turns[group]

    def _one(self, field: Field, read: Callable[[str], Any]) -> Any:
        for column, text in self._cells(field):
            value = read(plain(_narrow(text)))
            if value is None:
                self._fault(column, field, said=text)
            return value
        return None

    def _all(self, field: Field, read: Callable[[str], str | None]) -> tuple[str, ...]:
        found: list[str] = []
        for column, text in self._cells(field):
            for name in _LISTED.split(_narrow(text)):
                if not name or plain(name) in EVERYWHERE:
                    continue
                value = read(plain(name))
                if value is None:
                    self._fault(column, field, said=name)
                else:
                    found.append(value)
        return tuple(dict.fromkeys(found))

    def _hazard(self, text: str) -> str | None:
        return self._hazards.get(text)

    @staticmethod
    def _language(text: str) -> str | None:
        return _LANGUAGES.get(text, text if text in LANGUAGES else None)

    @staticmethod
    def _number(text: str) -> int | None:
        return int(text) if re.fullmatch(r"\d{1,3}", text) else None

    @staticmethod
    def _quiet(text: str) -> tuple[dt.time, dt.time] | None:
        return quiet(text)


def quiet(text: str) -> tuple[dt.time, dt.time] | None:
    """Read quiet hours as 22:00-06:00; None for what is none."""
    found = _QUIET.fullmatch(text)
    if not found:
        return None
    start, start_minute, end, end_minute = (int(part or 0) for part in found.groups())
    try:
        hours = dt.time(start % 24, start_minute), dt.time(end % 24, end_minute)
    except ValueError:
        return None
    return hours if hours[0] != hours[1] and start <= 24 and end <= 24 else None


def _narrow(text: str) -> str:
    return unicodedata.normalize("NFKC", text)


def _numbers(text: str) -> list[str]:
    """Give the numbers of a cell that holds several."""
    pieces = [piece.strip() for piece in _LISTED.split(_narrow(text)) if piece.strip()]
    whole = all(len(re.sub(r"\D", "", piece)) >= 7 for piece in pieces)
    return pieces if len(pieces) > 1 and whole else [text]


def _hazards() -> dict[str, str]:
    """Give the dangers by their names in every language."""
    catalogue = Catalogue.load()
    found: dict[str, str] = {}
    for language in catalogue.languages:
        for hazard, name in catalogue.table(language)["warning"]["hazard"].items():
            found |= {plain(hazard): hazard, plain(name): hazard}
    return found
