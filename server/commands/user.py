"""`fenghuo user …` and `fenghuo audit …`: accounts as an operator sets them up."""

import argparse
import datetime as dt
import functools
import json
import sys
import zoneinfo
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeAlias

from alerts.rights import ROLES
from server.accounts import audit as auditing
from server.accounts import links, people, sessions
from server.accounts.audit import audit
from server.accounts.errors import AccountError
from server.accounts.people import Account
from server.chain import opened
from server.clock import SystemClock
from server.settings import Settings
from server.store.connection import Connection
from server.store.database import Database
from server.terminal import Terminal

_Act: TypeAlias = Callable[["Desk", argparse.Namespace], Awaitable[int]]
_Work: TypeAlias = Callable[[argparse.Namespace, Settings, Terminal], Coroutine[Any, Any, int]]

DAYS = 365
"""How long a token of a machine works where nothing else is said."""


def add_commands(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the command line."""
    user = commands.add_parser("user", help="who may sign in, and what they may do").add_subparsers(
        required=True, metavar="ACTION"
    )
    user.add_parser("list", help="all accounts").set_defaults(work=_list)
    add = user.add_parser("add", help="add an account and print the link for its owner")
    add.add_argument("name", help="by which they sign in")
    add.add_argument("--title", default="", help="how they are shown")
    add.add_argument("--roles", nargs="+", choices=ROLES, default=["forecaster"], metavar="ROLE")
    add.set_defaults(work=_add)
    roles = user.add_parser("roles", help="give an account other roles")
    roles.add_argument("name")
    roles.add_argument("roles", nargs="+", choices=ROLES, metavar="ROLE")
    roles.set_defaults(work=_roles)
    for action in (add, roles):
        action.add_argument("--regions", nargs="*", metavar="REGION", help="only these; all")
    link = user.add_parser("link", help="a link that works once: to set or renew a password")
    link.add_argument("name", nargs="?", help="without it: for the first administrator")
    link.set_defaults(work=_link)
    disable = user.add_parser("disable", help="sign somebody out and let them in no more")
    disable.add_argument("name")
    disable.add_argument("--undo", action="store_true", help="let them in again")
    disable.set_defaults(work=_disable)
    token = user.add_parser("token", help="a token for a machine, which may do as the account may")
    token.add_argument("name")
    token.add_argument("--days", type=_days, default=DAYS, help=f"how long it works ({DAYS})")
    token.add_argument("--label", default="", help="what it is for")
    token.set_defaults(work=_token)
    held = user.add_parser("sessions", help="browsers that are signed in, and tokens")
    held.add_argument("name")
    held.add_argument("--end", type=int, metavar="NUMBER", help="end this one")
    held.set_defaults(work=_sessions)
    chain = commands.add_parser("audit", help="who did what").add_subparsers(
        required=True, metavar="ACTION"
    )
    listed = chain.add_parser("list", help="the newest acts, one in a line")
    listed.add_argument("--limit", type=int, default=50, help="at most so many (50)")
    listed.set_defaults(work=_audit)
    verify = chain.add_parser("verify", help="is it whole; exit 0 or 1")
    verify.add_argument("--head", default="", help="a digest noted earlier must still be there")
    verify.set_defaults(work=_verify)


class Desk:
    """What each command works with: a transaction, the time, and the terminal."""

    def __init__(self, conn: Connection, settings: Settings, terminal: Terminal) -> None:
        self.conn = conn
        self.now = SystemClock().now()
        self.terminal = terminal
        self._settings = settings

    def local(self, moment: dt.datetime) -> str:
        """Give a time as people here read it."""
        return moment.astimezone(zoneinfo.ZoneInfo(self._settings.zone)).strftime("%Y-%m-%d %H:%M")

    def link(self, token: str, *, key: str = "link") -> None:
        """Print a link, and say for how long it works."""
        self.terminal.error(f"account.{key}", until=self.local(self.now + links.LASTS))
        sys.stdout.write(links.address(public(self._settings), token) + "\n")

    def show(self, account: Account) -> None:
        """Say what an account may do."""
        text = self.terminal.text
        roles = [text(f"account.role.{role}") for role in account.roles]
        places = list(account.regions) or [text("account.everywhere")]
        self.terminal.error(
            "account.changed", name=account.name, roles=", ".join(roles), places=", ".join(places)
        )

    async def record(self, act: str, account: Account, **detail: object) -> None:
        """Tell it in the audit."""
        await audit(
            self.conn,
            person=None,
            act=act,
            subject=f"account/{account.name}",
            detail=detail,
            at=self.now,
        )


def public(settings: Settings, *, port: int | None = None) -> str:
    """Give the address at which the console is reached."""
    web = settings.web
    return web.public_url or f"http://{web.host}:{web.port if port is None else port}"


def _days(text: str) -> int:
    number = int(text)
    if not 1 <= number <= 3_650:
        raise ValueError(text)
    return number


def _on_desk(act: _Act) -> _Work:
    """Give the work that does ``act`` in one transaction, and says why it was refused."""

    @functools.wraps(act)
    async def work(arguments: argparse.Namespace, settings: Settings, terminal: Terminal) -> int:
        try:
            async with (
                opened(settings) as ready,
                await Database.open(ready.store.url, name="fenghuo", size=1) as database,
                database.connection() as conn,
            ):
                return await act(Desk(conn, ready, terminal), arguments)
        except AccountError as error:
            terminal.error(f"account.refused.{error.key}", **error.values)
            return 1

    return work


@_on_desk
async def _list(desk: Desk, _: argparse.Namespace) -> int:
    text = desk.terminal.text
    for each in await people.every(desk.conn):
        state = text("account.off") if each.disabled else "" if each.ready else "…"
        seen = desk.local(each.seen) if each.seen else text("account.never")
        places = ",".join(each.regions) or text("account.everywhere")
        sys.stdout.write(
            f"{each.name}\t{each.title}\t{','.join(each.roles)}\t{places}\t{seen}\t"
            f"{state if state != '…' else text('account.no_password')}\n"
        )
    return 0


@_on_desk
async def _add(desk: Desk, arguments: argparse.Namespace) -> int:
    found = await people.add(
        desk.conn,
        name=arguments.name,
        title=arguments.title,
        roles=arguments.roles,
        regions=arguments.regions or (),
        now=desk.now,
    )
    token = await links.invite(desk.conn, found.id, now=desk.now)
    await desk.record("account.add", found, roles=found.roles, regions=found.regions)
    desk.show(found)
    desk.link(token)
    return 0


@_on_desk
async def _roles(desk: Desk, arguments: argparse.Namespace) -> int:
    old = await people.named(desk.conn, arguments.name)
    found = await people.change(
        desk.conn, old.id, roles=arguments.roles, regions=arguments.regions, now=desk.now
    )
    await desk.record("account.change", found, roles=found.roles, regions=found.regions)
    desk.show(found)
    return 0


@_on_desk
async def _link(desk: Desk, arguments: argparse.Namespace) -> int:
    if arguments.name is None:
        desk.link(await links.first(desk.conn, now=desk.now), key="first")
        return 0
    found = await people.named(desk.conn, arguments.name)
    token = await links.invite(desk.conn, found.id, now=desk.now)
    await desk.record("account.link", found)
    desk.link(token)
    return 0


@_on_desk
async def _disable(desk: Desk, arguments: argparse.Namespace) -> int:
    old = await people.named(desk.conn, arguments.name)
    off = not arguments.undo
    found = await people.change(desk.conn, old.id, disabled=off, now=desk.now)
    if off:
        await sessions.end_all(desk.conn, found.id, now=desk.now)
        await links.withdraw(desk.conn, found.id)
    await desk.record("account.change", found, disabled=off)
    desk.show(found)
    return 0


@_on_desk
async def _token(desk: Desk, arguments: argparse.Namespace) -> int:
    found = await people.named(desk.conn, arguments.name)
    if found.disabled is not None:
        raise AccountError("disabled", name=found.name)
    longest = dt.timedelta(days=arguments.days)
    number, token = await sessions.begin(
        desk.conn,
        found.id,
        label=arguments.label,
        address="",
        now=desk.now,
        kind="machine",
        longest=longest,
    )
    await desk.record(
        "token.begin", found, session=number, label=arguments.label, days=arguments.days
    )
    desk.terminal.error("account.token", until=desk.local(desk.now + longest))
    sys.stdout.write(f"{token}\n")
    return 0


@_on_desk
async def _sessions(desk: Desk, arguments: argparse.Namespace) -> int:
    found = await people.named(desk.conn, arguments.name)
    if arguments.end is not None:
        await sessions.revoke(desk.conn, arguments.end, now=desk.now, account=found.id)
        await desk.record("session.end", found, session=arguments.end)
        desk.terminal.error("account.ended")
        return 0
    for each in await sessions.every(desk.conn, found.id, now=desk.now):
        times = "\t".join(desk.local(moment) for moment in (each.made, each.seen, each.expires))
        sys.stdout.write(f"{each.id}\t{each.kind}\t{times}\t{each.address}\t{each.label:.60}\n")
    return 0


@_on_desk
async def _audit(desk: Desk, arguments: argparse.Namespace) -> int:
    for row in await auditing.page(desk.conn, limit=max(1, arguments.limit)):
        detail = json.dumps(json.loads(row.detail), ensure_ascii=False)
        sys.stdout.write(
            f"{row.id}\t{desk.local(row.at)}\t{row.name}\t{row.act}\t{row.subject}\t{detail}\n"
        )
    return 0


@_on_desk
async def _verify(desk: Desk, arguments: argparse.Namespace) -> int:
    found = await auditing.verify(desk.conn, head=arguments.head)
    if found.broken is not None:
        desk.terminal.error("account.broken", row=found.broken, rows=found.rows)
        return 1
    desk.terminal.error("account.whole", rows=found.rows, head=found.head)
    return 0
