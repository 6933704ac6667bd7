"""What a message would say on each channel, and whom it would reach, before anything is decided."""

import datetime as dt
from typing import Any

import msgspec
import psycopg

from alerts.areas import reach
from alerts.channels import RENDERERS
from alerts.life.changes import Changes, write
from alerts.life.evidence import LEVELS
from alerts.life.message import compose
from alerts.life.warning import CLOSED, ENDING, Act, State, Step, Terms, Warning  # noqa: A004 - the domain's own word
from alerts.queries import Queries
from alerts.regions import Region
from alerts.texts.announcement import Desk, ways
from alerts.texts.bulletin import readable
from alerts.texts.wording import Writer

_sql = Queries("alerts.texts", "announcement.sql")

ALWAYS = "sms"
"""Shown where no channel is in use yet."""


def likely(warning: Warning) -> Act:
    """Give the act that would be published next."""
    return Act.UPDATE if warning.state is State.ISSUED else Act.ISSUE


def imagined(
    warning: Warning, act: Act, changes: Changes, *, author: str, at: dt.datetime, terms: Terms
) -> Step:
    """Give the step that would publish a warning with somebody's changes; raises ActError."""
    if act in ENDING or act is Act.WITHDRAW:
        written = msgspec.structs.replace(warning, text=changes.words({}))
    else:
        written = write(warning, changes, author=author, at=at, terms=terms)
    said = msgspec.structs.replace(
        written, sent=at, number=warning.number + 1, expires=max(written.expires, at)
    )
    return Step(act=act, warning=said, before=warning)


async def preview(
    conn: psycopg.AsyncConnection[Any], step: Step, region: Region, *, desk: Desk
) -> dict[str, Any]:
    """Give the texts by channel and language, the recipients by tier and channel, and the people.

    people: who lives in the region, or in what was drawn of it; None where that is not known.
    """
    message, warning = compose(step), step.warning
    channels = ways(desk, message) or [ALWAYS]
    texts: dict[str, dict[str, Any]] = {channel: {} for channel in channels}
    for language in desk.catalogue.languages:
        said = Writer(
            warning,
            act=step.act,
            at=message.sent,
            region=region,
            bureau=desk.bureau,
            catalogue=desk.catalogue,
            language=language,
        ).said()
        for channel in channels:
            script = RENDERERS[channel](said)
            script = msgspec.structs.replace(script, body=readable(script.body))
            texts[channel][language] = msgspec.structs.asdict(script)
    closed, heads = step.act in CLOSED, desk.policy.heads(warning.hazard)
    tiers = [turn.tier for turn in desk.policy.turns(message.level)]
    cursor = await conn.execute(
        _sql.recipients,
        {
            "warning": warning.id,
            "region": warning.region,
            "hazard": warning.hazard,
            "level": message.level,
            "levels": list(LEVELS),
            "ends": step.act in ENDING or step.act is Act.WITHDRAW,
            "tiers": list(heads.tiers) if closed else tiers,
            "groups": list(heads.groups) if closed else [],
            "ways": channels,
            "fallback": list(desk.fallback),
        },
    )
    recipients: dict[str, dict[str, int]] = {}
    for tier, channel, number in await cursor.fetchall():
        recipients.setdefault(tier, {})[channel] = number
    people = region.population
    if warning.area is not None:
        people = reach(warning.area, regions=[region], places=[]).people
    return {
        "act": step.act,
        "level": message.level,
        "exercise": message.exercise,
        "sent": message.sent,
        "onset": message.onset,
        "expires": message.expires,
        "texts": texts,
        "recipients": recipients,
        "people": people,
    }
