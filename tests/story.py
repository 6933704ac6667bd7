"""Writes docs/event-2016.md: the bundled event as those who are told of it see it.

``python -m tests.story`` replays the event with a cast of recipients on every channel, as an
exercise, and writes down what the ledger holds of one place. Nothing of the page is by hand but the
sentences between.
"""

import asyncio
import datetime as dt
import json
import sys
import zoneinfo
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from psycopg.rows import dict_row

from alerts.cap.examination import examine
from alerts.catalogue import Catalogue
from alerts.life import diary
from alerts.life.diary import Entry
from alerts.people import contacts, subscribers
from alerts.people.sealing import Seal
from alerts.people.subscribers import Subscriber
from alerts.texts.bulletin import readable
from server import chain, run
from server.settings import Alerts, Email, Fax, Settings, Twilio, Web, Webhook
from tests.unit.test_cap_signature import pem

ROOT = Path(__file__).parents[1]
EVENT = ROOT / "deploy" / "events" / "beijing-2016-07"
PLACE = "beijing-shunyi"
ZONE = zoneinfo.ZoneInfo("Asia/Shanghai")

POLICY = {
    "levels = []\nhazards = []": 'levels = ["yellow", "orange", "red"]\nhazards = []',
    "exercise = true": "exercise = false",
    'veto = "0m"': 'veto = "1h"',
    'levels = ["orange", "red"]\ntiers': 'levels = ["yellow", "orange", "red"]\ntiers',
}
"""What is changed in the policy that ships: an hour to stop what goes out, officials hear first."""

CHANNELS = ("sms", "voice", "email", "push", "fax", "social", "display", "broadcast", "webhook")

_PUSH = (
    '{"endpoint": "https://push.example.com/1", "keys": {"p256dh": "'
    "BNcRdreALRFXTkOOUHK1EtK2wtaz5Ry4YfYCA_0QTpQtUbVlUls0VJXg7A8u-Ts1XbjhazAkj7I99e8QcYP7DkM"
    '", "auth": "tBHItJI5svbpez7KI4CCXg"}}'
)

CAST: Sequence[tuple[str, str, str, Sequence[tuple[str, str]]]] = (
    ("顺义区应急管理局", "official", "zh", [
        ("sms", "+8619900009001"), ("voice", "+8619900009001"),
        ("email", "duty@shunyi.example"), ("fax", "+861099009001"),
    ]),
    ("甲村信息员", "officer", "zh", [("sms", "+8619900009002")]),
    ("顺义广播电台", "outlet", "zh", [("broadcast", "shunyi-radio")]),
    ("村口显示屏", "outlet", "zh", [("display", "shunyi-gate")]),
    ("气象台微博", "outlet", "zh", [("social", "json://social.example.com/post")]),
    ("合作平台", "outlet", "en", [("webhook", "https://platform.example.com/alerts")]),
    ("A resident", "public", "en", [("sms", "+8619900009003"), ("push", _PUSH)]),
)  # fmt: skip
"""Name, tier, language and addresses of those on the page: none of them exists."""


@dataclass(frozen=True, slots=True)
class Told:
    """One message of the event, its words, and who was sent them when."""

    act: str
    level: str
    door: str
    sent: dt.datetime
    onset: dt.datetime
    expires: dt.datetime
    scripts: dict[tuple[str, str], tuple[str, str, int]]
    sendings: list[tuple[str, str, str, dt.datetime]]


def _settings(folder: Path) -> Settings:
    folder.mkdir(parents=True, exist_ok=True)
    text = files("alerts.bureau").joinpath("policy.toml").read_text("utf-8")
    for old, new in POLICY.items():
        assert text.count(old) == 1, old
        text = text.replace(old, new)
    policy = folder / "policy.toml"
    policy.write_text(text, "utf-8")
    # Each channel must be complete to be in use; an exercise never comes to any of them.
    nobody = Twilio(account="AC" + "0" * 32, token="none", sender="+15005550006")
    return Settings(
        data=str(folder),
        alerts=Alerts(policy=str(policy), channels=CHANNELS, signature=str(pem(folder))),
        twilio=nobody,
        email=Email(host="127.0.0.1", port=9, sender="warnings@fenghuo.example"),
        fax=Fax(mail="{number}@fax.example"),
        webhook=Webhook(secret="no secret at all"),
        web=Web(public_url="https://weather.example.cn"),
    )


async def _play() -> tuple[list[Told], list[Entry]]:
    quiet = run.Terminal(language="en")
    async with run._apart(Settings()) as apart:
        own = msgspec.structs.replace(
            _settings(apart.folder), ingest=apart.ingest, store=apart.store
        )
        async with chain.chain(own) as running:
            await run._prepare(running, EVENT)
            await _cast(running)
            await running.start(run.HEADLESS)
            keeping = asyncio.create_task(running.keep())
            await running.replay(EVENT, pace=0, show=run._progress(quiet, own))
            await running.settle()
            keeping.cancel()
            await _examined(running)
            return await _told(running), await _acts(running)


async def _examined(running: chain.Chain) -> None:
    """Say how many alerts of the whole event there are; fail where one is not valid."""
    trust = Path(running.settings.alerts.signature)
    async with running.database.connection() as conn:
        rows = await (await conn.execute("SELECT cap FROM message")).fetchall()
    for (cap,) in rows:
        found = examine(cap.encode(), trust=trust)
        assert found.valid, found.problems("en")
        assert found.signed, cap
    sys.stdout.write(f"{len(rows)} alerts, all valid: schema, rules, signature\n")


async def _acts(running: chain.Chain) -> list[Entry]:
    async with running.database.connection() as conn:
        query = "SELECT id FROM warning WHERE region = %s ORDER BY opened"
        rows = await (await conn.execute(query, [PLACE])).fetchall()
        return [entry for (number,) in rows for entry in await diary.acts(conn, number)]


async def _cast(running: chain.Chain) -> None:
    seal = Seal.load(running.settings.key)
    people = [
        Subscriber(
            name=name,
            tier=tier,  # type: ignore[arg-type]
            language=language,
            addresses=tuple(contacts.read(channel, address) for channel, address in addresses),
            regions=(PLACE,),
        )
        for name, tier, language, addresses in CAST
    ]
    async with running.database.connection() as conn:
        await subscribers.save(conn, people, seal=seal, at=dt.datetime.now(dt.UTC))


async def _told(running: chain.Chain) -> list[Told]:
    async with running.database.connection() as conn, conn.cursor(row_factory=dict_row) as cursor:
        await cursor.execute(
            "SELECT message.* FROM message JOIN warning ON warning.id = message.warning"
            " WHERE warning.region = %s ORDER BY message.sent, message.number",
            [PLACE],
        )
        return [await _one(cursor, row) for row in await cursor.fetchall()]


async def _one(cursor: Any, row: dict[str, Any]) -> Told:
    await cursor.execute(
        "SELECT channel, language, subject, body, segments FROM script WHERE message = %s",
        [row["id"]],
    )
    scripts = {
        (each["channel"], each["language"]): (each["subject"], each["body"], each["segments"])
        for each in await cursor.fetchall()
    }
    await cursor.execute(
        "SELECT delivery.tier, way, delivery.language, due FROM delivery"
        " JOIN subscriber ON subscriber.id = delivery.subscriber"
        " WHERE message = %s AND source <> 'sample' AND state <> 'muted'"
        " ORDER BY priority, due, way",
        [row["id"]],
    )
    sendings = [
        (each["tier"], each["way"], each["language"], each["due"])
        for each in await cursor.fetchall()
    ]
    names = ("act", "level", "door", "sent", "onset", "expires")
    return Told(*(row[name] for name in names), scripts=scripts, sendings=sendings)


INTRO = """# The rainstorm of July 2016, as those who are told of it see it

Shunyi, in the north-east of Beijing, on 20 July 2016: from the first heads-up to the all-clear,
with the words on each channel. It is a replay of real hourly readings ([licence](../NOTICE)) and an
exercise, as every text says; nobody on this page exists. The bureau's policy here lets yellow and
higher go out after an hour in which a forecaster may stop it, and gives officials a heads-up when
such a warning waits and is likely enough. The chances are small and the onset near because gauges
alone speak here: no radar, no model, a reading an hour.

`python -m tests.story` writes this page anew; nothing below is written by hand.

## What was done

"""

ACTS = {
    "propose": "proposed, waits",
    "approve": "approved, may be stopped for an hour",
    "notice": "heads-up to officials",
    "withdraw": "heads-up withdrawn",
    "issue": "warning",
    "update": "update",
    "upgrade": "raised",
    "downgrade": "lowered",
    "cancel": "end",
    "expire": "end, as its time is up",
}

LINK = "https://weather.example.cn/a/…"

WAYS = ("sms", "voice", "email", "display", "broadcast", "social", "push")
"""Channels whose words are shown: a fax is the e-mail on paper, a webhook is for machines."""


def page(told: Sequence[Told], acts: Sequence[Entry]) -> str:
    """Write the page."""
    lines = [INTRO + "| local time | what | level |", "|---|---|---|"]
    lines += [
        f"| {_local(each.at)} | {ACTS[each.act]} | {each.level} |"
        for each in acts
        if each.act in ACTS
    ]
    for one in told:
        lines += ["", f"## {_local(one.sent)}: {ACTS[one.act]}, {one.level}", ""]
        onset = "already met" if one.door == "observed" else f"expected from {_local(one.onset)}"
        lines += [f"{onset[0].upper()}{onset[1:]}; counts until {_local(one.expires)}.", ""]
        lines += _sendings(one)
        seen = {(way, language) for _, way, language, _ in one.sendings}
        for way in WAYS:
            for language in Catalogue.load().languages:
                if (way, language) in seen and (way, language) in one.scripts:
                    lines += _script(way, language, *one.scripts[way, language])
    return "\n".join(lines) + "\n"


def _sendings(one: Told) -> list[str]:
    found: dict[str, list[str]] = {}
    for tier, way, _, due in one.sendings:
        late = "" if due <= one.sent else f" at {_local(due)}"
        entry = f"{way}{late}"
        if entry not in found.setdefault(tier, []):
            found[tier].append(entry)
    return [f"- {tier}: {', '.join(ways)}" for tier, ways in found.items()]


def _script(way: str, language: str, subject: str, body: str, segments: int) -> list[str]:
    parts = f", {segments} segment{'s' if segments > 1 else ''}" if way == "sms" else ""
    # Each recipient has a link of the own; the ledger writes it as it sends.
    words = readable(body).replace("{ack}", LINK)
    if way == "push":
        words = json.loads(body)["body"]
    text = f"{subject}\n\n{words}" if subject else words
    return ["", f"**{way}** ({language}{parts})", "", "```text", text.strip(), "```"]


def _local(moment: dt.datetime) -> str:
    return f"{moment.astimezone(ZONE):%d %b %H:%M}"


def main() -> None:
    """Replay, and write the page."""
    told, acts = asyncio.run(_play())
    if not told:
        sys.exit(f"nobody was warned at {PLACE}")
    (ROOT / "docs" / "event-2016.md").write_text(page(told, acts), "utf-8")


if __name__ == "__main__":
    main()
