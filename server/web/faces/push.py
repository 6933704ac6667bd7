"""Notices in browsers: the key they subscribe to, and who has subscribed to what."""

import datetime as dt
from typing import Annotated, Any

import msgspec
from fastapi import APIRouter, Request
from msgspec import Meta
from starlette.responses import FileResponse, Response

from alerts.bureau.policy import Level
from alerts.channels import push
from alerts.codes import CODES
from alerts.faces import posters
from alerts.people import contacts, privacy, subscribers
from alerts.people.contacts import Address, ContactError
from alerts.people.subscribers import LEVELS, Subscriber, Wishes
from server import channels
from server.settings import SettingsError
from server.web import permit
from server.web.answers import Json
from server.web.context import Context
from server.web.faces.rendering import Language, language_of
from server.web.pages import STATIC
from server.web.problems import Problem

LONGEST = 16_384
"""Bytes of a request."""

OFTEN = 20
"""Subscriptions in a minute from one address."""

BUSY = 2_000
"""Subscriptions in a minute from all of them."""

Regions = Annotated[tuple[str, ...], Meta(min_length=1, max_length=50)]


class Subscription(msgspec.Struct, frozen=True, kw_only=True):
    """What a browser gives: where its maker's service takes notices, and the keys to seal them."""

    endpoint: str
    keys: dict[str, str]

    @property
    def address(self) -> Address:
        """Read it; raises Problem."""
        text = msgspec.json.encode({"endpoint": self.endpoint, "keys": self.keys}).decode()
        try:
            return contacts.read(push.NAME, text)
        except ContactError as error:
            raise Problem(400, f"subscription: {error}") from None


class Asked(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A browser subscribes; no hazards: every one."""

    subscription: Subscription
    regions: Regions
    hazards: tuple[str, ...] = ()
    lowest: Level = "blue"
    language: Language = "zh"


class Moved(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A browser has another subscription than before, and wants to hear the same."""

    subscription: Subscription
    replaces: str


class Left(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A browser wants to hear no more."""

    endpoint: str


_asked = msgspec.json.Decoder(Asked)
_moved = msgspec.json.Decoder(Moved)
_left = msgspec.json.Decoder(Left)


def router(context: Context) -> APIRouter:
    """Give the routes; a subscription is changed by whoever knows its endpoint, a secret."""
    api = APIRouter(tags=["push"])
    desk = _Desk(context)

    @api.get("/push.js", include_in_schema=False)
    async def worker() -> Response:
        """Give the service worker; it lies at the root, so that it may show every page."""
        return FileResponse(
            STATIC / "push.js",
            media_type="text/javascript",
            headers={"cache-control": "no-cache"},
        )

    @api.get("/api/v1/push/key")
    async def key(request: Request) -> Response:
        """Give the key that browsers subscribe to, and the words of the form."""
        language = language_of(request)
        words = context.catalogue.table(language)["channel"]["push"]
        levels = {
            level: context.catalogue.text(f"warning.level.{level}.name", language)
            for level in LEVELS
        }
        return Json(
            {"key": desk.keys().public, "language": language, "words": words, "levels": levels}
        )

    @api.post("/api/v1/push/subscriptions", status_code=201)
    async def subscribe(request: Request) -> Response:
        """Take a subscription, or change the wishes of one that is known."""
        desk.welcome(request)
        asked = await permit.read(request, _asked, longest=LONGEST)
        await desk.save(asked)
        return Response(status_code=201)

    @api.put("/api/v1/push/subscriptions")
    async def move(request: Request) -> Response:
        """Take a subscription in the place of another, with the same wishes."""
        desk.welcome(request)
        moved = await permit.read(request, _moved, longest=LONGEST)
        await desk.move(moved)
        return Response(status_code=204)

    @api.delete("/api/v1/push/subscriptions")
    async def leave(request: Request) -> Response:
        """Forget a subscription; nothing is kept of it."""
        permit.same_origin(request, context)
        left = await permit.read(request, _left, longest=LONGEST)
        await desk.forget(left.endpoint)
        return Response(status_code=204)

    return api


class _Desk:
    """Writes down who has subscribed, and does not let anybody do so without end."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._keys: push.Keys | None = None
        self._minute = dt.datetime.min.replace(tzinfo=dt.UTC)
        self._seen: dict[str, int] = {}

    def keys(self) -> push.Keys:
        """Give the key pair; raises Problem where push is not in use."""
        if push.NAME not in self._context.settings.alerts.channels:
            raise Problem(404, "the channel push is not in use: alerts.channels does not name it")
        if self._keys is None:
            try:
                self._keys = channels.push_keys(self._context.settings)
            except SettingsError as error:
                raise Problem(503, str(error)) from None
        return self._keys

    def welcome(self, request: Request) -> None:
        """Raise Problem where push is not in use, for a page of another site, or too often."""
        self.keys()
        permit.same_origin(request, self._context)
        now = self._context.wall.now()
        if now - self._minute >= dt.timedelta(minutes=1):
            self._minute, self._seen = now, {}
        address = request.client.host if request.client else ""
        self._seen[address] = self._seen.get(address, 0) + 1
        if self._seen[address] > OFTEN or sum(self._seen.values()) > BUSY:
            raise Problem(429, "too many subscriptions: try again in a minute")

    async def save(self, asked: Asked) -> None:
        """Save a subscriber without a name; raises Problem for a place or danger there is not."""
        address = asked.subscription.address
        unknown = set(asked.hazards) - CODES.keys()
        if unknown:
            raise Problem(400, f"hazards: there is no {', '.join(sorted(unknown))}")
        async with self._context.database.connection() as conn:
            known = {place.id for place in await posters.places(conn)}
            if missing := set(asked.regions) - known:
                raise Problem(400, f"regions: there is no {', '.join(sorted(missing))}")
            wishes = Wishes(
                language=asked.language,
                lowest=asked.lowest,
                hazards=asked.hazards,
                regions=asked.regions,
            )
            await self._put(conn, address, wishes)

    async def move(self, moved: Moved) -> None:
        """Give the wishes of one subscription to another; raises Problem for an unknown one."""
        seal = self._context.seal
        async with self._context.database.connection() as conn:
            found = await subscribers.find(conn, _known(moved.replaces), seal=seal)
            number = found.subscriber if found is not None else 0
            old = await subscribers.get(conn, number, seal=seal)
            if old is None or old.erased is not None:
                raise Problem(404, "replaces: there is no such subscription")
            wishes = {name: getattr(old, name) for name in Wishes.__struct_fields__}
            address = moved.subscription.address
            if address.key != moved.replaces:
                await privacy.erase(conn, old.id, at=self._context.wall.now())
            await self._put(conn, address, Wishes(**wishes))

    async def forget(self, endpoint: str) -> None:
        """Forget who subscribed by an endpoint, where somebody did."""
        async with self._context.database.connection() as conn:
            found = await subscribers.find(conn, _known(endpoint), seal=self._context.seal)
            if found is not None:
                await privacy.erase(conn, found.subscriber, at=self._context.wall.now())

    async def _put(self, conn: Any, address: Address, wishes: Wishes) -> None:
        person = Subscriber(
            name="",
            tier="public",
            addresses=(address,),
            source="self",
            **{name: getattr(wishes, name) for name in Wishes.__struct_fields__},
        )
        at = self._context.wall.now()
        await subscribers.save(conn, [person], seal=self._context.seal, at=at, rejoin=True)


def _known(endpoint: str) -> Address:
    """Give an address by which a known subscription is found."""
    return Address(channel=push.NAME, text="", key=endpoint, hint="")
