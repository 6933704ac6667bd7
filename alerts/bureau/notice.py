"""The closed notice before a warning: when one goes out without a person. Pure."""

import datetime as dt

from alerts.bureau.durations import duration
from alerts.bureau.policy import Policy
from alerts.life.evidence import rank
from alerts.life.warning import State, Warning  # noqa: A004 - the domain's own word

WAITING = frozenset({State.PROPOSED, State.DRAFT, State.SUBMITTED, State.APPROVED})
"""The states in which nobody outside has heard of an event."""


def due(warning: Warning, *, policy: Policy, at: dt.datetime) -> bool:
    """Say whether government and departments are told now that a warning may come.

    They are while the event still waits and its onset lies ahead, no further than the policy's
    lead, for a level that the policy names, when it is likely enough (an expectation without a
    likelihood is somebody's word, and enough) and not told of at this level or a higher one.
    """
    heads, ground = policy.heads(warning.hazard), warning.ground
    if warning.state not in WAITING or warning.level not in heads.levels:
        return False
    if ground.door != "expected" or not at < ground.onset <= at + duration(heads.lead):
        return False
    told = [rank(notice.level) for notice in warning.notices if not notice.withdrawn]
    if told and max(told) >= rank(warning.level):
        return False
    chances = [item.probability for item in ground.evidence if item.probability is not None]
    return max(chances, default=1.0) >= heads.probability
