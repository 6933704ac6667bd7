"""Who may do what with a warning: roles, places, and where the policy asks for it a second person.

Pure: the table below and one question. Accounts and sessions are the centre's affair.
"""

from typing import Literal, TypeAlias, get_args

import msgspec

Role: TypeAlias = Literal["forecaster", "approver", "officer", "admin"]

ROLES: tuple[Role, ...] = get_args(Role)

Code: TypeAlias = Literal["act", "signin", "role", "region", "own"]

_WRITERS: frozenset[Role] = frozenset({"forecaster", "approver"})
_ANSWERERS: frozenset[Role] = frozenset({"officer", "forecaster", "approver"})

WRITING = frozenset({"draft", "edit", "submit", "notice", "lead"})
"""Acts after which the public has heard nothing new; whoever writes warnings may do them."""

DECIDING = frozenset(
    {"approve", "issue", "veto", "return", "dismiss", "update", "upgrade", "downgrade", "cancel"}
)
"""Acts that decide what the public hears: an approver's, or a forecaster's where one is enough."""

SECOND = frozenset({"approve", "issue", "upgrade"})
"""Acts that never are the author's own where two are asked for; an end or a stop may be."""

ANSWERING = frozenset({"acknowledge"})


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody signed in.

    name: by which they sign in; title: how they are shown.
    regions: ids of those they answer for; empty: everywhere.
    """

    id: int
    name: str
    title: str
    roles: frozenset[Role]
    regions: tuple[str, ...] = ()


class RightsError(Exception):
    """A person may not do this; the message says why.

    code: ``signin`` nobody is signed in, ``role`` their roles do not allow it, ``region`` the
    place is not theirs, ``own`` it needs somebody else than the author, ``act`` there is no such
    act.
    """

    def __init__(self, code: Code, sentence: str) -> None:
        """``sentence`` is English, for whoever calls the interface."""
        super().__init__(sentence)
        self.code: Code = code


def may(person: Person | None, act: str, *, region: str, author: str | None, two: bool) -> None:
    """Return where the person may do the act in the region; raises RightsError.

    author: name of who wrote what the act is about, None for what the watch proposed.
    two: the policy asks that what is published was seen by another than its author.
    """
    if act not in WRITING | DECIDING | ANSWERING:
        raise RightsError("act", f"there is no act {act!r}")
    if person is None:
        raise RightsError("signin", "sign in to do this")
    allowed = _roles(act, own=author == person.name, two=two)
    if not person.roles & allowed:
        raise RightsError("role", f"{act} needs one of the roles: {', '.join(sorted(allowed))}")
    if person.regions and region not in person.regions:
        raise RightsError("region", f"the region {region!r} is not among yours")
    if two and act in SECOND and author == person.name:
        raise RightsError("own", f"{act} needs somebody else than {author}, who wrote it")


def _roles(act: str, *, own: bool, two: bool) -> frozenset[Role]:
    """Give the roles of which one is enough."""
    if act in ANSWERING:
        return _ANSWERERS
    if act in WRITING or not two or (act == "return" and own):
        return _WRITERS
    return frozenset({"approver"})
