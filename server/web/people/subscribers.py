"""Interfaces to those who are told: an administrator's, and every look at an address is audited."""

import datetime as dt
from collections.abc import Mapping
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Path, Query, Request
from msgspec import UNSET, Meta, UnsetType
from starlette.responses import Response

from alerts import regions
from alerts.bureau.policy import TIERS, Level, Tier
from alerts.people import contacts, privacy, roster, subscribers, tables
from alerts.people.contacts import ContactError
from alerts.people.headers import FIELDS, Field
from alerts.people.importing import Defaults, Fault, Plan
from alerts.people.subscribers import MOST, Subscriber, Wishes
from alerts.people.tables import TableError
from forecast.criteria import HAZARDS
from server.accounts.audit import audit
from server.commands.people import take
from server.store.connection import Connection
from server.web import permit
from server.web.answers import Json, one_of
from server.web.context import Context
from server.web.faces.rendering import language_of
from server.web.problems import Problem

LONGEST = 65_536
"""Bytes of a request that is no list."""

FAULTS = 1_000
"""Faults and remarks in the answer to a list."""

Number = Annotated[int, Path(ge=1, lt=2**63)]
Time = Annotated[str, Meta(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")]


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody whose address is known."""

    address: str
    channel: str = ""


class Changed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be different; quiet hours as ["22:00", "06:00"], null for none."""

    language: str | UnsetType = UNSET
    lowest: Level | UnsetType = UNSET
    hazards: tuple[str, ...] | UnsetType = UNSET
    regions: tuple[str, ...] | UnsetType = UNSET
    quiet: tuple[Time, Time] | UnsetType | None = UNSET
    digest: bool | UnsetType = UNSET


class Made(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody new, or with one of these addresses known; addresses by their channel."""

    name: Annotated[str, Meta(min_length=1, max_length=100)]
    tier: Tier
    addresses: Annotated[dict[str, str], Meta(min_length=1)]
    regions: tuple[str, ...]
    post: Annotated[str, Meta(max_length=200)] = ""
    groups: tuple[str, ...] = ()
    turn: Annotated[int, Meta(ge=0, le=999)] = 0
    language: str = "zh"
    lowest: Level = "blue"
    hazards: tuple[str, ...] = ()
    quiet: tuple[Time, Time] | None = None
    digest: bool = False


_asked = msgspec.json.Decoder(Asked)
_changed = msgspec.json.Decoder(Changed)
_made = msgspec.json.Decoder(Made)


class _Desk:
    """Does what the routes offer."""

    def __init__(self, context: Context) -> None:
        self._context = context

    async def listing(self, request: Request, chosen: Mapping[str, Any]) -> Response:
        await permit.need(request, self._context, "admin")
        async with self._context.database.connection() as conn:
            found = await subscribers.listing(conn, seal=self._context.seal, **chosen)
            groups = await subscribers.groups(conn)
        return Json({"subscribers": found, "groups": groups})

    async def find(self, request: Request) -> Response:
        await permit.need(request, self._context, "admin")
        asked = await permit.read(request, _asked, longest=LONGEST)
        try:
            address = (
                contacts.read(asked.channel, asked.address)
                if asked.channel
                else contacts.anyhow(asked.address)
            )
        except ContactError as error:
            raise Problem(400, f"address: {error}", reason=error.code) from None
        async with self._context.database.connection() as conn:
            found = await subscribers.find(conn, address, seal=self._context.seal)
        if found is None:
            raise Problem(404, "nobody has this address")
        return Json({"id": found.subscriber})

    async def show(self, request: Request, number: int) -> Response:
        person = await permit.need(request, self._context, "admin")
        async with self._context.database.connection() as conn:
            found = await privacy.export(conn, number, seal=self._context.seal)
            if found is None:
                raise Problem(404, f"no subscriber {number}")
            await self._note(conn, person, "people.export", f"subscriber/{number}")
        return Json(found)

    async def add(self, request: Request) -> Response:
        person = await permit.need(request, self._context, "admin")
        made = await permit.read(request, _made, longest=LONGEST)
        async with self._context.database.connection() as conn:
            await _known(conn, made.regions, made.hazards)
            saved = await subscribers.save(
                conn, [_subscriber(made)], seal=self._context.seal, at=self._context.wall.now()
            )
            number = saved.ids[0]
            await self._note(conn, person, "people.save", f"subscriber/{number}", tier=made.tier)
        return Json({"id": number}, 201 if saved.added else 200)

    async def change(self, request: Request, number: int) -> Response:
        person = await permit.need(request, self._context, "admin")
        changed = await permit.read(request, _changed, longest=LONGEST)
        async with self._context.database.connection() as conn:
            known = await subscribers.get(conn, number, seal=self._context.seal)
            if known is None or known.erased:
                raise Problem(404, f"no subscriber {number}")
            given = {name: value for name, value in _fields(changed).items() if value is not UNSET}
            before = {name: getattr(known, name) for name in Wishes.__struct_fields__}
            wishes = msgspec.convert({**before, **given}, Wishes)
            await _known(conn, wishes.regions, wishes.hazards)
            await subscribers.change(conn, number, wishes)
            await self._note(
                conn, person, "people.change", f"subscriber/{number}", fields=sorted(given)
            )
        return Json({"id": number})

    async def erase(self, request: Request, number: int) -> Response:
        person = await permit.need(request, self._context, "admin")
        async with self._context.database.connection() as conn:
            if not await privacy.erase(conn, number, at=self._context.wall.now()):
                raise Problem(404, f"no subscriber {number}, or erased before")
            await self._note(conn, person, "people.erase", f"subscriber/{number}")
        return Response(status_code=204)

    async def table(self, request: Request) -> Response:
        person = await permit.need(request, self._context, "admin")
        context = self._context
        async with context.database.connection() as conn:
            found = roster.rows(
                conn, seal=context.seal, catalogue=context.catalogue, language=language_of(request)
            )
            rows = [row async for row in found]
            await self._note(conn, person, "people.list", "csv", people=len(rows) - 1)
        headers = {"content-disposition": 'attachment; filename="people.csv"'}
        return Response(
            tables.write(rows),
            media_type="text/csv",
            headers={**headers, "cache-control": "no-store"},
        )

    async def take(
        self,
        request: Request,
        *,
        name: str,
        dry: bool,
        sheet: str | None,
        mapping: list[str],
        defaults: Defaults,
    ) -> Response:
        person = await permit.need(request, self._context, "admin")
        data = await _data(request)
        language = language_of(request)
        words = self._context.catalogue
        try:
            async with self._context.database.connection() as conn:
                plan, saved = await take(
                    conn,
                    data,
                    name=name,
                    seal=self._context.seal,
                    sheet=sheet,
                    mapping=_mapping(mapping),
                    defaults=defaults,
                )
                counts = {
                    "added": saved.added,
                    "changed": len(set(saved.ids)) - saved.added,
                    "refused": len({fault.line for fault in plan.faults}),
                }
                if dry:
                    await conn.rollback()
                else:
                    await self._note(conn, person, "people.import", name[:100], **counts)
        except TableError as error:
            reason = words.text(f"people.table.{error.code}", language, **error.values)
            raise Problem(422, reason, reason=error.code) from None
        return Json({"dry": dry, **counts, **self._told(plan, language)})

    def _told(self, plan: Plan, language: str) -> dict[str, Any]:
        words = self._context.catalogue

        def sentence(fault: Fault) -> dict[str, Any]:
            text = words.text(f"people.fault.{fault.code}", language, **fault.values)
            known = {"line": fault.line, "column": fault.column, "code": fault.code}
            return {**known, "detail": text}

        return {
            "columns": [{"header": name, "field": field} for name, field in plan.columns if name],
            "faults": [sentence(fault) for fault in plan.faults[:FAULTS]],
            "remarks": [sentence(fault) for fault in plan.remarks[:FAULTS]],
        }

    async def _note(
        self, conn: Connection, person: Any, act: str, subject: str, **detail: Any
    ) -> None:
        at = self._context.wall.now()
        await audit(conn, person=person, act=act, subject=subject, detail=detail, at=at)


def router(context: Context) -> APIRouter:
    """Give the routes."""
    api = APIRouter(prefix="/api/v1/subscribers", tags=["people"])
    desk = _Desk(context)

    @api.get("")
    async def listing(
        request: Request,
        *,
        tier: str | None = None,
        group: str | None = None,
        region: str | None = None,
        after: Annotated[int, Query(ge=0, lt=2**63)] = 0,
        limit: Annotated[int, Query(ge=1, le=MOST)] = 200,
    ) -> Response:
        """Give those who are told, by id, with the ends of their addresses."""
        one_of(tier, name="tier", allowed=TIERS)
        chosen = {"tier": tier, "group": group, "region": region}
        return await desk.listing(request, {**chosen, "after": after, "limit": limit})

    @api.post("")
    async def add(request: Request) -> Response:
        """Add somebody, or change whoever has the address."""
        return await desk.add(request)

    @api.post("/find")
    async def find(request: Request) -> Response:
        """Give the id of whoever has an address; it is not in the URL, which ends up in logs."""
        return await desk.find(request)

    @api.post("/import")
    async def take_list(
        request: Request,
        *,
        name: Annotated[str, Query(max_length=200, description="of the file")] = "list",
        dry: Annotated[bool, Query(description="say what would be done")] = False,
        sheet: str | None = None,
        tier: str | None = None,
        group: str = "",
        region: str = "",
        call: bool = False,
        mapping: Annotated[list[str], Query(alias="map", description="HEADER=FIELD")] = [],  # noqa: B006
    ) -> Response:
        """Take a list: the body is a CSV or Excel file as it is."""
        one_of(tier, name="tier", allowed=TIERS)
        known = msgspec.convert(tier, Tier | None)
        defaults = Defaults(tier=known, group=group, region=region, call=call)
        return await desk.take(
            request, name=name, dry=dry, sheet=sheet, mapping=mapping, defaults=defaults
        )

    @api.get("/table")
    async def table(request: Request) -> Response:
        """Give everybody with whole addresses, as CSV that can be imported again."""
        return await desk.table(request)

    @api.get("/{number}")
    async def show(request: Request, number: Number) -> Response:
        """Give everything known of somebody, and every message they were sent."""
        return await desk.show(request, number)

    @api.patch("/{number}")
    async def change(request: Request, number: Number) -> Response:
        """Change what somebody hears."""
        return await desk.change(request, number)

    @api.delete("/{number}")
    async def erase(request: Request, number: Number) -> Response:
        """Forget who somebody is; what was sent stays in the ledger, of nobody."""
        return await desk.erase(request, number)

    return api


def _fields(given: Changed | Made) -> dict[str, Any]:
    """Give what concerns wishes, with the quiet hours as two."""
    names = ("language", "lowest", "hazards", "regions", "digest")
    found = {name: getattr(given, name) for name in names}
    if given.quiet is not UNSET:
        start, end = given.quiet or ("", "")
        found["quiet_from"] = dt.time.fromisoformat(start) if start else None
        found["quiet_until"] = dt.time.fromisoformat(end) if end else None
    return found


def _subscriber(made: Made) -> Subscriber:
    """Give the person; raises Problem."""
    found = []
    for channel, text in made.addresses.items():
        try:
            found.append(contacts.read(channel, text))
        except ContactError as error:
            raise Problem(400, f"addresses.{channel}: {error}", reason=error.code) from None
    wishes = msgspec.convert(_fields(made), Wishes)
    return Subscriber(
        **msgspec.structs.asdict(wishes),
        name=made.name,
        tier=made.tier,
        addresses=tuple(found),
        post=made.post,
        groups=made.groups,
        turn=made.turn,
        source="outlet" if made.tier == "outlet" else "import",
    )


async def _known(conn: Connection, places: tuple[str, ...], hazards: tuple[str, ...]) -> None:
    """Raise Problem for a region or a danger that there is not."""
    there = {region.id for region in await regions.load(conn)}
    unknown = [name for name in places if name not in there]
    if unknown:
        raise Problem(400, f"regions: unknown {', '.join(unknown)[:200]}")
    strange = [name for name in hazards if name not in HAZARDS]
    if strange:
        raise Problem(400, f"hazards: unknown {', '.join(strange)[:200]}")


def _mapping(given: list[str]) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for text in given:
        name, _, field = text.rpartition("=")
        if not name or field not in FIELDS:
            raise Problem(400, f"map: write HEADER=FIELD, a field is: {', '.join(FIELDS)}")
        found[name] = msgspec.convert(field, Field)
    return found


async def _data(request: Request) -> bytes:
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > tables.LONGEST:
            raise Problem(413, f"a list has at most {tables.LONGEST} bytes")
    return bytes(body)
