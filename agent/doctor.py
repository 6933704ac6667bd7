"""Looks at a station layer by layer, from its configuration to the centre's confirmation.

Nothing is measured or published as an observation: the way is tried with a status message that
tells the truth.
"""

import shutil
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from agent.clock import Clock, plausible, text
from agent.config import Config, ConfigError, load
from agent.drivers import port
from agent.link import Acknowledged, Link, LinkError, Version
from agent.spool import MEGABYTE, Spool, SpoolError
from agent.stored import Tally
from agent.words import Words

LAYERS = ("config", "clock", "driver", "spool", "name", "tcp", "tls", "protocol", "login", "rights",
          "confirm")  # fmt: skip
"""What is looked at, in this order."""

_WAY = ("name", "tcp", "tls", "protocol", "login", "rights")
_ANSWER = 10.0


class Finding(msgspec.Struct, frozen=True):
    """What was found in one layer. good: None where it was not tried."""

    layer: str
    good: bool | None
    detail: str
    advice: str = ""


def examine(file: Path, *, clock: Clock, words: Words) -> Iterator[Finding]:
    """Look at every layer in turn; without a configuration there is nothing further to see."""
    try:
        config = load(file)
    except ConfigError as error:
        yield Finding("config", good=False, detail=str(error), advice=words("doctor.config.advice"))
        yield from (Finding(layer, good=None, detail="") for layer in LAYERS[1:])
        return
    said = {"station": config.station, "driver": config.driver.name, "url": config.broker.url}
    yield Finding("config", good=True, detail=words("doctor.config.ok", **said))
    yield _clock(clock, words)
    yield _driver(config, clock, words)
    yield _spool(config, clock, words)
    yield from _way(config, clock, words)


def sentence(finding: Finding, words: Words) -> str:
    """Write a finding as a line or two for a person."""
    state = {True: "ok", False: "failed", None: "skipped"}[finding.good]
    line = f"{words(f'doctor.{finding.layer}.title')}: {words(f'doctor.{state}')}"
    if finding.detail:
        line += f" · {finding.detail}"
    if finding.advice:
        line += f"\n    {words('doctor.advice')}: {finding.advice}"
    return line


def _clock(clock: Clock, words: Words) -> Finding:
    now = clock.now()
    if plausible(now):
        return Finding("clock", good=True, detail=words("doctor.clock.ok", now=text(now)))
    detail = words("doctor.clock.failed", now=text(now))
    return Finding("clock", good=False, detail=detail, advice=words("doctor.clock.advice"))


def _driver(config: Config, clock: Clock, words: Words) -> Finding:
    site = port.Site(station=config.station, folder=Path(config.folder), clock=clock)
    try:
        detail = port.make(config.driver.name, config.driver.options, site).probe()
    except Exception as error:  # noqa: BLE001 - a driver may be anybody's, and this is a look at it
        detail = str(error) or type(error).__name__
        return Finding("driver", good=False, detail=detail, advice=words("doctor.driver.advice"))
    return Finding("driver", good=True, detail=detail)


def _spool(config: Config, clock: Clock, words: Words) -> Finding:
    path, limit = config.spool_path, config.spool.limit
    advice = words("doctor.spool.advice")
    try:
        with Spool(path, clock=clock, limit=limit) as spool:
            tally, aside = spool.tally, spool.aside
        size = path.stat().st_size // MEGABYTE
    except SpoolError as error:
        if not error.busy:
            return Finding("spool", good=False, detail=str(error), advice=advice)
        tally, aside, size = None, None, path.stat().st_size // MEGABYTE
    if aside is not None:
        detail = words("doctor.spool.damaged", path=path, aside=aside)
        return Finding("spool", good=False, detail=detail, advice=advice)
    free = shutil.disk_usage(path.parent).free // MEGABYTE
    if free < limit - size:
        detail = words("doctor.spool.space", path=path, free=free, limit=limit)
        return Finding("spool", good=False, detail=detail, advice=advice)
    return Finding("spool", good=True, detail=_standing(words, path, tally, free))


def _standing(words: Words, path: Path, tally: Tally | None, free: int) -> str:
    if tally is None:
        return words("doctor.spool.used", path=path, free=free)
    return words("doctor.spool.ok", path=path, waiting=tally.waiting, lost=tally.lost, free=free)


def _way(config: Config, clock: Clock, words: Words) -> Iterator[Finding]:
    """Go the whole way to the centre once, and tell how far it went."""
    versions: tuple[Version, ...] = ("5", "3.1.1")
    if config.broker.version != "auto":
        versions = (config.broker.version,)
    found: list[Finding] = []
    for version in versions:
        found = list(_try(config, clock, words, version))
        if not any(finding.layer == "protocol" and finding.good is False for finding in found):
            break
    yield from found
    missing = LAYERS[LAYERS.index(found[-1].layer) + 1 :]
    yield from (Finding(layer, good=None, detail="") for layer in missing)


def _try(config: Config, clock: Clock, words: Words, version: Version) -> Iterator[Finding]:
    details = _details(config, words, version)
    try:
        link = Link(
            station=config.station,
            broker=config.broker,
            version=version,
            client=f"fenghuo-{config.station}-doctor",
        )
    except LinkError as error:
        layer = error.layer if error.layer in _WAY else "login"
        for name in _WAY[: _WAY.index(layer)]:
            yield Finding(name, good=True, detail=details[name]())
        advice = words(f"doctor.{layer}.advice", station=config.station)
        yield Finding(layer, good=False, detail=str(error), advice=advice)
        return
    except ConfigError as error:
        for name in ("name", "tcp"):
            yield Finding(name, good=True, detail=details[name]())
        yield Finding("tls", good=False, detail=str(error), advice=words("doctor.tls.advice"))
        return
    with link:
        for name in _WAY[:-1]:
            yield Finding(name, good=True, detail=details[name]())
        yield _rights(link, config, clock, words)
        yield _confirm(link, config, words)


def _details(config: Config, words: Words, version: Version) -> dict[str, Callable[[], str]]:
    """Give what is said of each layer that is well."""
    host, number = config.broker.address
    user = config.broker.username
    return {
        "name": lambda: words("doctor.name.ok", host=host, addresses=_addresses(host, number)),
        "tcp": lambda: words("doctor.tcp.ok", host=host, port=number),
        "tls": lambda: words("doctor.tls.ok" if config.broker.encrypted else "doctor.tls.off"),
        "protocol": lambda: words("doctor.protocol.ok", version=version),
        "login": lambda: (
            words("doctor.login.ok", username=user) if user else words("doctor.login.nobody")
        ),
    }


def _addresses(host: str, number: int) -> str:
    try:
        found = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)
    except OSError:
        return host
    return ", ".join(sorted({str(entry[4][0]) for entry in found}))


def _rights(link: Link, config: Config, clock: Clock, words: Words) -> Finding:
    """Publish a status that is true and is not retained, and see whether it is taken."""
    advice = words("doctor.rights.advice", station=config.station)
    status = {"state": "online", "time": text(clock.now())}
    try:
        message = link.send("status", msgspec.json.encode(status))
        end = time.monotonic() + _ANSWER
        while time.monotonic() < end:
            for event in link.poll(0.5):
                if isinstance(event, Acknowledged) and event.message == message:
                    if event.problem:
                        detail = words("doctor.rights.failed", problem=event.problem)
                        return Finding("rights", good=False, detail=detail, advice=advice)
                    granted = ", ".join(sorted(link.greeting.granted)) or "–"
                    return Finding(
                        "rights", good=True, detail=words("doctor.rights.ok", granted=granted)
                    )
    except LinkError as error:
        detail = words("doctor.rights.failed", problem=error)
        return Finding("rights", good=False, detail=detail, advice=advice)
    detail = words("doctor.rights.silent", seconds=f"{_ANSWER:g}")
    return Finding("rights", good=False, detail=detail, advice=advice)


def _confirm(link: Link, config: Config, words: Words) -> Finding:
    topic = f"fenghuo/v1/{config.station}/ack"
    if link.greeting.commits:
        return Finding("confirm", good=True, detail=words("doctor.confirm.direct"))
    if "ack" in link.greeting.granted:
        return Finding("confirm", good=True, detail=words("doctor.confirm.ack", topic=topic))
    detail = words("doctor.confirm.failed", topic=topic)
    advice = words("doctor.confirm.advice", topic=topic)
    return Finding("confirm", good=False, detail=detail, advice=advice)
