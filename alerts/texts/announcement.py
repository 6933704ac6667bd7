"""Saying what was decided: messages, their words on each channel, and who is sent them.

Runs in its caller's transaction, never commits. The deliveries of a message are one statement,
however many they are; what is decided about them is decided by `alerts.bureau.noise`, once for each
manner in which somebody wants to be told.
"""

import datetime as dt
import uuid
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec
import psycopg
from psycopg.rows import dict_row
from psycopg.types.json import Jsonb

from alerts import cap
from alerts.bureau import noise
from alerts.bureau.digest import gathered
from alerts.bureau.durations import duration
from alerts.bureau.noise import Fate, Manner, News, Running, Silence
from alerts.bureau.policy import TIERS, Policy, Turn
from alerts.cap.signature import Signer
from alerts.catalogue import Catalogue
from alerts.channels import RENDERERS
from alerts.life.evidence import LEVELS, rank
from alerts.life.message import Message, compose
from alerts.life.warning import CLOSED, ENDING, Act, Step, Warning  # noqa: A004 - the domain's own word
from alerts.queries import Queries
from alerts.regions import Region
from alerts.texts.wording import Bureau, Said, Writer

_sql = Queries("alerts.texts", "announcement.sql")

VARIANTS = 200
"""Texts at most for what several regions, or a digest, are told in one; others are told singly."""

RAISING = frozenset({Act.ISSUE, Act.UPGRADE, Act.NOTICE})
"""The acts that a group's officers are told of in turn."""

OVERLAP = 0.05
"""Two regions are of the same place when they share so much of the smaller one."""


class Desk(msgspec.Struct, frozen=True, kw_only=True):
    """What it takes to speak: the bureau, its policy, words, real channels, and its signature.

    fallback: those of the channels that are used where the others fail.
    """

    bureau: Bureau
    policy: Policy
    catalogue: Catalogue
    channels: tuple[str, ...] = ()
    fallback: tuple[str, ...] = ()
    signer: Signer | None = None


class _Part(msgspec.Struct, frozen=True, kw_only=True):
    """One message with all that is needed to say it; last: when the one before was sent."""

    step: Step
    message: Message
    region: Region
    last: dt.datetime | None

    @property
    def news(self) -> News:
        return News(
            act=self.step.act,
            level=self.message.level,
            sent=self.message.sent,
            expires=self.message.expires,
            ends=self.step.act in ENDING,
            closed=self.step.closed,
            last=self.last,
        )

    def writer(self, desk: Desk, language: str, beside: Sequence[Region] = ()) -> Writer:
        return Writer(
            self.step.warning,
            act=self.step.act,
            at=self.message.sent,
            region=self.region,
            bureau=desk.bureau,
            catalogue=desk.catalogue,
            language=language,
            beside=beside,
        )


class _Bundle(msgspec.Struct, frozen=True, kw_only=True):
    """Regions (places in the group, from 1) and waiting messages that one text tells of."""

    told: tuple[int, ...]
    waiting: tuple[int, ...]
    suffix: str

    @property
    def key(self) -> str:
        return f"{','.join(map(str, self.told))}|{','.join(map(str, self.waiting))}"


async def announce(
    conn: psycopg.AsyncConnection[Any],
    steps: Sequence[Step],
    *,
    desk: Desk,
    silences: Sequence[Silence] = (),
) -> list[Message]:
    """Say what was decided in one moment, and give the messages.

    What is the same news of several regions is one message to a person, where the policy merges.
    Raises psycopg.errors.UniqueViolation for a message that was written before.
    """
    parts = [await _publish(conn, step, desk) for step in steps if step.publishes or step.closed]
    for group in _groups(parts, desk, silences):
        await _address(conn, group, desk, silences)
    if parts:
        warnings = [str(part.message.warning) for part in parts]
        await conn.execute(_sql.wake, {"warnings": warnings})
    return [part.message for part in parts]


async def _publish(conn: psycopg.AsyncConnection[Any], step: Step, desk: Desk) -> _Part:
    message = compose(step)
    (region,) = await _rows(conn, _sql.region, {"ids": [step.warning.region]}, Region)
    earlier = await chain(conn, message.warning)
    part = _Part(
        step=step,
        message=message,
        region=region,
        last=earlier[-1].sent if earlier else None,
    )
    writers = {language: part.writer(desk, language) for language in desk.catalogue.languages}
    text = cap.build(
        message,
        warning=step.warning,
        # What is public never points at what only some were told.
        predecessors=[each for each in earlier if (each.act in CLOSED) == step.closed],
        region=region,
        bureau=desk.bureau,
        bulletins={language: writer.bulletin() for language, writer in writers.items()},
    )
    if desk.signer is not None:
        text = desk.signer.sign(text)
    evidence = Jsonb(msgspec.to_builtins(message.evidence))
    await conn.execute(
        _sql.publish, {**msgspec.structs.asdict(message), "evidence": evidence, "cap": text}
    )
    await _write_scripts(
        conn, message, ways(desk, message), {name: each.said() for name, each in writers.items()}
    )
    return part


def ways(desk: Desk, message: Message) -> list[str]:
    """Give the channels that a message is written for; an exercise stands for every one."""
    return [name for name in RENDERERS if message.exercise or name in desk.channels]


async def _write_scripts(
    conn: psycopg.AsyncConnection[Any],
    message: Message,
    channels: Sequence[str],
    texts: Mapping[str, Said],
) -> None:
    """Write what each channel says, by language."""
    keys = [(channel, language) for language in texts for channel in channels]
    scripts = [RENDERERS[channel](texts[language]) for channel, language in keys]
    await conn.execute(
        _sql.scripts,
        {
            "messages": [message.id] * len(keys),
            "channels": [channel for channel, _ in keys],
            "languages": [language for _, language in keys],
            "subjects": [script.subject for script in scripts],
            "bodies": [script.body for script in scripts],
            "segments": [script.segments for script in scripts],
        },
    )


def _groups(parts: Iterable[_Part], desk: Desk, silences: Sequence[Silence]) -> list[list[_Part]]:
    """Put together what is the same news of several regions."""
    found: dict[object, list[_Part]] = {}
    for part in parts:
        warning, message = part.step.warning, part.message
        alone = part.step.closed or warning.text or not desk.policy.noise.merge.regions
        held = [silence.id for silence in _held(part, silences)]
        same = (
            warning.hazard,
            message.level,
            message.act,
            message.exercise,
            message.sent,
            message.expires,
            tuple(held),
        )
        found.setdefault(message.id if alone else same, []).append(part)
    return list(found.values())


def _held(part: _Part, silences: Sequence[Silence]) -> list[Silence]:
    """Give the silences that hold a message back."""
    warning = part.step.warning
    return [
        silence
        for silence in silences
        if silence.holds(part.news, hazard=warning.hazard, region=warning.region)
    ]


async def _address(
    conn: psycopg.AsyncConnection[Any],
    group: Sequence[_Part],
    desk: Desk,
    silences: Sequence[Silence],
) -> None:
    """Write one delivery for each recipient, message and way."""
    first, policy = group[0], desk.policy
    message, news, warning = first.message, first.news, first.step.warning
    heads, turns = policy.heads(warning.hazard), policy.turns(message.level)
    gathers = not news.closed and message.level in policy.noise.digest.levels
    values: dict[str, Any] = {
        "messages": [part.message.id for part in group],
        "warnings": [part.message.warning for part in group],
        "regions": [part.step.warning.region for part in group],
        "exercise": message.exercise,
        "sent": message.sent,
        "ends": news.ends or first.step.act is Act.WITHDRAW,
        "calm": first.step.act not in RAISING,
        "hazard": warning.hazard,
        "level": message.level,
        "levels": list(LEVELS),
        "urgency": 10 * (len(LEVELS) - 1 - rank(message.level)),
        "order": list(TIERS),
        "tiers": list(heads.tiers) if news.closed else [turn.tier for turn in turns],
        "groups": list(heads.groups) if news.closed else [],
        "after": duration(policy.escalation.after),
        "languages": list(desk.catalogue.languages),
        "ways": ways(desk, message),
        "fallback": list(desk.fallback),
        "gathers": gathers,
        "gathered": list(policy.noise.digest.levels),
        "bundling": gathers or len(group) > 1,
        "limit": VARIANTS,
    }
    await conn.execute(_sql.supersede, values)
    values |= await _manners(conn, group, policy, desk.bureau.local, _held(first, silences))
    values |= await _hushing(conn, group, policy)
    bundles = await _bundles(conn, group, desk, values) if values["bundling"] else []
    values["bundles"] = [bundle.key for bundle in bundles]
    values["suffixes"] = [bundle.suffix for bundle in bundles]
    await conn.execute(_sql.by_hash)
    await conn.execute(_sql.address, values)
    await conn.execute(_sql.by_any)
    if any(bundle.waiting for bundle in bundles):
        await conn.execute(_sql.gather, values)


async def _manners(
    conn: psycopg.AsyncConnection[Any],
    group: Sequence[_Part],
    policy: Policy,
    zone: dt.tzinfo,
    held: Sequence[Silence],
) -> dict[str, list[Any]]:
    """Decide for each manner when it is told; as columns."""
    first = group[0]
    turns: dict[str, Turn] = {turn.tier: turn for turn in policy.turns(first.message.level)}
    onset = min(part.message.onset for part in group)
    keys: list[str] = []
    fates: list[Fate] = []
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.manners)
        async for row in cursor:
            key, manner = row.pop("key"), Manner(**row)
            turn = turns.get(manner.tier)
            start = due = first.message.sent
            if turn is not None and not (first.news.closed or first.news.ends):
                start, due = start + turn.delay, turn.due(sent=start, onset=onset)
            fate = noise.fate(first.news, manner, due=due, rules=policy.noise, zone=zone)
            if due > start and not fate.reason:
                fate = msgspec.structs.replace(fate, reason="onset")
            if any(not silence.tiers or manner.tier in silence.tiers for silence in held):
                fate = msgspec.structs.replace(fate, muted=True, reason="silenced")
            keys.append(key)
            fates.append(fate)
    return {
        "keys": keys,
        "dues": [fate.due for fate in fates],
        "expiries": [fate.expires for fate in fates],
        "mutes": [fate.muted for fate in fates],
        "reasons": [fate.reason for fate in fates],
    }


async def _hushing(
    conn: psycopg.AsyncConnection[Any], group: Sequence[_Part], policy: Policy
) -> dict[str, list[Any]]:
    """Give the events that make this needless, each with the place of the message in the group."""
    first = group[0]
    hazards = sorted({hazard for rule in policy.noise.inhibit for hazard in rule.hazards})
    values = {"exercise": first.message.exercise, "hazards": hazards}
    running = await _rows(conn, _sql.in_force, values, Running) if hazards else []
    hazard = first.step.warning.hazard
    among = noise.inhibitors(first.news, hazard=hazard, among=running, rules=policy.noise)
    names = sorted({event.region for event in among})
    regions = {each.id: each for each in await _rows(conn, _sql.region, {"ids": names}, Region)}
    pairs = [
        (place, event.id)
        for place, part in enumerate(group, start=1)
        for event in among
        if event.id != part.message.warning and _same(part.region, regions[event.region])
    ]
    return {
        "hushed_places": [place for place, _ in pairs],
        "hushing": [event for _, event in pairs],
    }


def _same(one: Region, other: Region) -> bool:
    """Say whether two regions are of the same place."""
    if one.id == other.id:
        return True
    first, second = one.geometry, other.geometry
    smaller = min(first.area, second.area)
    return bool(first.intersection(second).area > OVERLAP * smaller)


async def _bundles(
    conn: psycopg.AsyncConnection[Any],
    group: Sequence[_Part],
    desk: Desk,
    values: Mapping[str, Any],
) -> list[_Bundle]:
    """Find what one text has to tell of at once, and write these texts."""
    rows = await (await conn.execute(_sql.bundles, values)).fetchall()
    bundles = [
        _Bundle(told=tuple(told), waiting=tuple(waiting), suffix=f"-x-{number}")
        for number, (told, waiting, _) in enumerate(rows, start=1)
    ]
    serials = sorted({serial for bundle in bundles for serial in bundle.waiting})
    heads = await _heads(conn, serials, desk) if serials else {}
    for bundle in bundles:
        first, *beside = (group[place - 1] for place in bundle.told)
        texts: dict[str, Said] = {}
        for language in desk.catalogue.languages:
            writer = first.writer(desk, language, [part.region for part in beside])
            said = writer.said()
            if bundle.waiting:
                others = [heads[serial][language] for serial in bundle.waiting]
                said = gathered(said, [*others, writer.head()], catalogue=desk.catalogue)
            texts[language + bundle.suffix] = said
        await _write_scripts(conn, first.message, values["ways"], texts)
    return bundles


async def _heads(
    conn: psycopg.AsyncConnection[Any], serials: Sequence[int], desk: Desk
) -> dict[int, dict[str, str]]:
    """Give the shortest texts of messages that wait, by language."""
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(_sql.told, {"serials": list(serials)})
        rows = await cursor.fetchall()
    names = sorted({row["region"] for row in rows})
    regions = {each.id: each for each in await _rows(conn, _sql.region, {"ids": names}, Region)}
    found: dict[int, dict[str, str]] = {}
    for row in rows:
        warning = msgspec.convert(row["warning"], Warning)
        warning = msgspec.structs.replace(warning, level=row["level"])
        found[row["serial"]] = {
            language: Writer(
                warning,
                act=row["act"],
                at=row["sent"],
                region=regions[row["region"]],
                bureau=desk.bureau,
                catalogue=desk.catalogue,
                language=language,
            ).head()
            for language in desk.catalogue.languages
        }
    return found


async def chain(conn: psycopg.AsyncConnection[Any], warning: uuid.UUID) -> list[Message]:
    """Give the messages of an event, the first first."""
    return await _rows(conn, _sql.chain, {"warning": warning}, Message)


async def _rows(
    conn: psycopg.AsyncConnection[Any],
    query: Any,
    values: Mapping[str, Any],
    kind: type[msgspec.Struct],
) -> list[Any]:
    async with conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(query, values)
        return [msgspec.convert(row, kind) for row in await cursor.fetchall()]
