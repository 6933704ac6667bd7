"""A mapping as it is written: the tables of its TOML file."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from server.ingest import paths


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class Time(_Table, frozen=True):
    """When: ``path`` empty takes the moment at which the message came.

    format: ``iso``, ``unix`` (s), ``unix_ms``, or a pattern of strptime.
    zone: the IANA zone of times that name none.
    """

    path: paths.Path | None = None
    format: str = "iso"
    zone: str = ""


class Interval(_Table, frozen=True):
    """What the values cover: at ``path`` in ``unit``; where that is missing ``seconds``."""

    seconds: Annotated[int, Meta(ge=1, le=86_400)] = 60
    path: paths.Path | None = None
    unit: Literal["s", "ms", "min", "h"] = "s"


class Field(_Table, frozen=True):
    """One field: ``value * scale + offset`` in ``unit``, then in the unit of the element.

    missing: what the logger writes where it has nothing. Of several fields for one element the
    first that is there counts.
    """

    element: str
    path: paths.Path
    unit: str = ""
    scale: float = 1.0
    offset: float = 0.0
    missing: tuple[float | str, ...] = ()


class File(_Table, frozen=True):
    """A mapping as it is written.

    topic: a pattern: ``{name}`` and ``+`` stand for one level, ``#`` at the end for the rest.
    station: text with the named levels of the topic in it.
    station_path: the station's name stands there in the JSON instead.
    stations: other names for stations, from theirs to ours.
    wire: the message is a report of our own wire that only needs mending (`fenghuo quarantine
        mend`): what the fields do not name stays.
    constants: values that never change.
    """

    topic: Annotated[str, Meta(min_length=1)]
    station: str = "{station}"
    station_path: paths.Path | None = None
    stations: dict[str, str] = {}
    time: Time = Time()
    interval: Interval = Interval()
    field: tuple[Field, ...] = ()
    constants: dict[str, float] = {}
    wire: bool = False
