"""One published message of a warning: what was said, once and for good."""

import datetime as dt
import uuid

import msgspec

from alerts.life.evidence import Door, Evidence
from alerts.life.warning import ENDING, Act, Step, identifier

END_VALIDITY = dt.timedelta(hours=2)
"""How long the news of the end is worth delivering."""


class Message(msgspec.Struct, frozen=True, kw_only=True):
    """A link in a warning's chain; `number` counts from 1.

    onset: when the danger began or begins; expires: when the message stops to count.
    """

    id: uuid.UUID
    warning: uuid.UUID
    number: int
    act: Act
    level: str
    door: Door
    exercise: bool
    sent: dt.datetime
    onset: dt.datetime
    expires: dt.datetime
    evidence: tuple[Evidence, ...]


def compose(step: Step) -> Message:
    """Give the message of a step that people hear of; raises ValueError for any other."""
    warning = step.warning
    if not (step.publishes or step.closed) or warning.sent is None:
        raise ValueError(f"nothing is said when a warning is to {step.act}")
    ground = warning.ground
    sent = warning.sent
    door, onset = ground.door, ground.onset
    if warning.onset is not None:
        door, onset = warning.door, warning.onset
    # What is expected begins with the message at the earliest.
    onset = onset if door == "observed" else max(onset, sent)
    over = step.act in ENDING or step.act is Act.WITHDRAW
    expires = sent + END_VALIDITY if over else warning.expires
    return Message(
        id=identifier("message", warning.id, warning.number),
        warning=warning.id,
        number=warning.number,
        act=step.act,
        level=warning.level,
        door=warning.door,
        exercise=warning.exercise,
        sent=sent,
        onset=min(onset, expires - dt.timedelta(seconds=1)),
        expires=expires,
        evidence=ground.evidence,
    )
