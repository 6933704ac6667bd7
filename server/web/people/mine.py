"""What somebody who has proved a number sees and changes: their wishes, and all we know of them."""

from collections.abc import Mapping, Sequence

import msgspec
from fastapi import APIRouter, Request
from starlette.responses import Response

from alerts import regions
from alerts.people import privacy, subscribers
from alerts.people.contacts import Address
from alerts.people.places import Places
from alerts.people.subscribers import Known, Subscriber
from forecast.criteria import HAZARDS
from server.store.connection import Connection
from server.web import permit
from server.web.context import Context
from server.web.faces.rendering import language_of, page
from server.web.people import visitor, wishes
from server.web.people.wishes import Form, WishError


def router(context: Context) -> APIRouter:
    """Give the routes."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/signup/settings")
    async def settings(request: Request, saved: str = "") -> Response:
        """Show what somebody wants to hear."""
        async with context.database.connection() as conn:
            owner = await visitor.owner(request, context, conn)
            if owner is None:
                return visitor.note(request, context, "old")
            return await _show(request, context, conn, owner, done=bool(saved))

    @pages.post("/signup/settings")
    async def change(request: Request) -> Response:
        """Save it, look for places, leave or erase: as the button says."""
        permit.same_origin(request, context)
        fields = await visitor.form(request)
        async with context.database.connection() as conn:
            owner = await visitor.owner(request, context, conn)
            if owner is None:
                return visitor.note(request, context, "old")
            return await _change(request, context, conn, owner, fields)

    @pages.get("/signup/data")
    async def data(request: Request) -> Response:
        """Give somebody everything that is known of them."""
        async with context.database.connection() as conn:
            owner = await visitor.owner(request, context, conn)
            if owner is None:
                return visitor.note(request, context, "old")
            known = await _known(context, conn, owner)
            found = known and await privacy.export(conn, known.id, seal=context.seal)
        text = msgspec.json.format(msgspec.json.encode(found or {}), indent=2)
        name = {"content-disposition": 'attachment; filename="fenghuo.json"'}
        headers = {**visitor.HEADERS, **name}
        return Response(text, media_type="application/json", headers=headers)

    return pages


async def _known(context: Context, conn: Connection, owner: Address) -> Known | None:
    found = await subscribers.find(conn, owner, seal=context.seal)
    if found is None:
        return None
    return await subscribers.get(conn, found.subscriber, seal=context.seal)


async def _show(
    request: Request,
    context: Context,
    conn: Connection,
    owner: Address,
    *,
    form: Form | None = None,
    error: str = "",
    done: bool = False,
) -> Response:
    language = language_of(request)
    known = await _known(context, conn, owner)
    if form is None:
        form = Form.of(known) if known and not known.left_at else Form(language=language)
    places = Places(await regions.load(conn))
    values = {"most": wishes.MOST} if error == "most" else {}
    return page(
        request,
        context,
        "signup_settings.html",
        language=language,
        status=400 if error else 200,
        headers=visitor.HEADERS,
        hint=owner.hint,
        known=known,
        form=form,
        few=len(places.regions) <= wishes.FEW,
        offered=form.offered(places),
        chart=wishes.chart(places.regions, language),
        hazards=HAZARDS,
        error=context.catalogue.text(f"people.signup.{error}", language, **values) if error else "",
        done=done,
    )


async def _change(
    request: Request,
    context: Context,
    conn: Connection,
    owner: Address,
    fields: Mapping[str, Sequence[str]],
) -> Response:
    known = await _known(context, conn, owner)
    if known and known.listed:
        # An official list is the bureau's to change.
        return await _show(request, context, conn, owner)
    match fields.get("act", ["save"])[-1]:
        case "leave":
            if known:
                await subscribers.leave(conn, known.id, at=context.wall.now())
            return await _gone(request, context, conn, "left")
        case "erase":
            if "sure" not in fields:
                return await _show(request, context, conn, owner, error="error_sure")
            if known:
                await privacy.erase(conn, known.id, at=context.wall.now())
            return await _gone(request, context, conn, "erased")
        case "find":
            return await _show(request, context, conn, owner, form=Form.read(fields))
    form = Form.read(fields)
    try:
        await _save(context, conn, owner, known, form)
    except WishError as error:
        return await _show(request, context, conn, owner, form=form, error=str(error))
    return visitor.moved(f"/signup/settings?saved=1&lang={language_of(request)}")


async def _save(
    context: Context, conn: Connection, owner: Address, known: Known | None, form: Form
) -> None:
    """Write what is wanted; raises WishError."""
    wanted = form.wishes(Places(await regions.load(conn)))
    if known and not known.left_at:
        await subscribers.change(conn, known.id, wanted)
        return
    person = Subscriber(
        **msgspec.structs.asdict(wanted),
        name=known.name if known else owner.hint,
        tier=known.tier if known else "public",
        addresses=(owner,),
        source="self",
    )
    at = context.wall.now()
    await subscribers.save(conn, [person], seal=context.seal, at=at, rejoin=True)


async def _gone(request: Request, context: Context, conn: Connection, what: str) -> Response:
    answer = visitor.note(request, context, what)
    await visitor.forget(answer, request, conn)
    return answer
