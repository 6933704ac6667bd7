"""SMS through any HTTP gateway: its address, fields and answers are data, not code.

Chinese providers differ in names and shape and in little else. A template is a text with fields:
``{to} {text} {id} {sign} {callback} {time} {left} {secret}``, ``{number}`` in a question, and those
of `Description.fields`. A table of templates becomes JSON or a form. ``deploy/config`` has two
descriptions of different shape.
"""

import datetime as dt
import hashlib
import hmac
import json
import re
import tomllib
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec

from alerts.channels.port import CallbackError, Delivery, ExerciseError, Probe, Receipt, State

NAME = "sms"
"""It stands for the same channel as any other way of sending SMS."""

LONGEST_ANSWER = 65_536
"""Bytes of an answer that are read."""

OK = 200

SHORTEST = 6
"""Seconds of validity below which nothing is sent."""

_FIELD = re.compile(r"\{(\w+)\}")

Proof: TypeAlias = Literal["token", "hmac-sha256", "md5"]


class GatewayError(Exception):
    """The gateway's description is wrong; the message says where and what to do."""


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How an answer of status 200 is read; paths as ``data.0.code``.

    ok: path of what says whether it was taken, good: the values that say yes.
    busy: values that say that it was not and may be repeated; all others: it never will be.
    number: path of the provider's own number. unclear: values after which nobody knows.
    """

    ok: str
    good: tuple[str, ...]
    busy: tuple[str, ...] = ()
    unclear: tuple[str, ...] = ()
    number: str = ""


class Callback(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How receipts are read and believed.

    list: path of the list of receipts in the body; empty: the body is one. id, state, number:
    paths within a receipt; id empty: the address says which it is of. states: their words, ours.
    proof: ``token`` (what stands at ``signature`` is the secret), ``hmac-sha256`` (hexadecimal, of
    the body), ``md5`` (hexadecimal, of ``signed``, a template of the receipt's fields and
    {secret}). signature: where it stands: ``header:x-sign``, ``query:token`` or ``body:path``.
    """

    states: Mapping[str, State]
    proof: Proof
    signature: str
    list: str = ""
    id: str = ""
    state: str = "status"
    number: str = ""
    signed: str = ""


class Query(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the provider is asked about one message; see the request's own fields.

    state: path of its state. missing: values of ``code`` that say that it does not have it.
    """

    url: str
    state: str
    states: Mapping[str, State]
    method: Literal["GET", "POST"] = "GET"
    body: Mapping[str, str] = {}
    code: str = ""
    missing: tuple[str, ...] = ()


class Description(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a gateway wants and says.

    fields: further names for templates, secrets among them. sign: template of what is signed;
    signing: how. url: may hold fields. headers, body: templates; form: whether the body is one.
    number: ``plain`` (as it is), ``national`` (without +86), ``digits`` (without +).
    repeatable: the gateway knows ``{id}`` and takes the same one once.
    busy: status codes that say that it was not taken and may be repeated.
    probe: an address whose answer of status 200 says that the gateway is there; empty: it cannot
    be looked at without sending.
    """

    url: str
    body: Mapping[str, Any]
    answer: Answer
    method: Literal["POST", "GET"] = "POST"
    form: bool = False
    headers: Mapping[str, str] = {}
    fields: Mapping[str, str] = {}
    sign: str = ""
    signing: Literal["hmac-sha256", "sha256", "md5"] = "hmac-sha256"
    secret: str = ""
    number: Literal["plain", "national", "digits"] = "plain"
    repeatable: bool = False
    busy: tuple[int, ...] = (429, 503)
    rate: float = 0
    timeout: float = 10
    callback: Callback | None = None
    query: Query | None = None
    probe: str = ""

    @classmethod
    def load(cls, file: Path, *, secret: str = "") -> "Description":
        """Read a TOML file; a secret given apart goes before the one in it. Raises GatewayError."""
        try:
            table = tomllib.loads(file.read_text("utf-8"))
            if secret:
                table["secret"] = secret
            return msgspec.convert(table, cls)
        except (OSError, ValueError) as error:  # not there, no UTF-8, no TOML, a wrong field
            raise GatewayError(f"{file}: {error}") from None


class Gateway:
    """Sends through one gateway; close it at the end. Make it inside the event loop.

    callback: public address under which receipts come back, without the delivery's id. now: the
    time, for what is signed with it.
    """

    name = NAME

    def __init__(
        self,
        description: Description,
        *,
        now: Callable[[], dt.datetime],
        callback: str = "",
        workers: int = 20,
    ) -> None:
        """Connect to nothing yet.

        Raises GatewayError for a template with an unknown field, or receipts that anybody could
        write.
        """
        if description.callback is not None and not description.secret:
            raise GatewayError("receipts need a secret, or anybody could write them")
        self.repeatable = description.repeatable
        self.rate = description.rate
        self.workers = workers
        self._is = description
        self._callback = callback.rstrip("/")
        self._now = now
        self._check()
        self._session = aiohttp.ClientSession(
            timeout=aiohttp.ClientTimeout(total=description.timeout),
            connector=aiohttp.TCPConnector(limit=workers + 5),
        )

    async def send(self, delivery: Delivery, *, now: dt.datetime) -> Receipt:
        """Hand a message over; raises ExerciseError.

        What the gateway says it did not take may be repeated; after no answer, or one that cannot
        be read, only a receipt or its own answer to a question can tell.
        """
        if delivery.exercise:
            raise ExerciseError(f"delivery {delivery.id} is an exercise")
        left = int((delivery.expires - now).total_seconds())
        if left < SHORTEST:
            return _receipt(delivery, "failed", problem="too late to be sent")
        try:
            status, found = await self._call(
                self._is.method, self._is.url, self._is.body, self._fields(delivery, now, left=left)
            )
        except aiohttp.ClientConnectorError as error:
            return _receipt(delivery, "queued", problem=f"not reached: {error.strerror or error}")
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            return _receipt(delivery, "uncertain", problem=f"no clear answer: {error!r}")
        return self._understood(delivery, status, found)

    async def find(self, delivery: Delivery) -> Receipt | None:
        """Ask as the description says; None where it does not, or the answer is not clear."""
        query = self._is.query
        if query is None or ("{number}" in f"{query.url}{query.body}" and not delivery.provider):
            return None
        fields = self._fields(delivery, self._now())
        try:
            status, found = await self._call(query.method, query.url, query.body, fields)
        except (TimeoutError, aiohttp.ClientError, ValueError):
            return None
        if status != OK:
            return None
        if query.code and pick(found, query.code) in query.missing:
            return _receipt(delivery, "queued", problem="the gateway does not have it")
        state = query.states.get(pick(found, query.state))
        return None if state is None else Receipt(delivery=delivery.id, state=state)

    def parse_callback(
        self, *, url: str, form: Mapping[str, str], headers: Mapping[str, str], body: bytes
    ) -> list[Receipt]:
        """Read receipts as the description says; raises CallbackError."""
        known = self._is.callback
        if known is None:
            raise CallbackError("this gateway has no receipts: its description has no [callback]")
        try:
            content = dict(form) if form else json.loads(body)
        except ValueError:
            raise CallbackError("neither a form nor JSON") from None
        items = _at(content, known.list) if known.list else [content]
        if not isinstance(items, list) or not items:
            raise CallbackError(f"no receipts at {known.list!r}")
        self._prove(known, url, headers, body, items)
        return [self._read(known, url, item) for item in items]

    async def probe(self) -> Probe:
        """Ask the address that the description gives for it."""
        if not self._is.probe:
            return Probe(ok=False, detail="the description names no address to probe")
        try:
            status, _ = await self._call("GET", self._is.probe, {}, self._fields(None, self._now()))
        except (TimeoutError, aiohttp.ClientError, ValueError) as error:
            return Probe(ok=False, detail=f"no clear answer: {error!r}")
        return Probe(ok=status == OK, detail=f"status {status}")

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def _fields(
        self, delivery: Delivery | None, now: dt.datetime, *, left: int = 0
    ) -> dict[str, str]:
        """Give what templates may name; without a delivery its fields are there and empty."""
        fields = {
            **self._is.fields,
            "to": _numbered(delivery.address, self._is.number) if delivery else "",
            "text": delivery.body if delivery else "",
            "id": str(delivery.id) if delivery else "",
            "number": (delivery.provider or "") if delivery else "",
            "callback": f"{self._callback}/{delivery.id}" if self._callback and delivery else "",
            "time": str(int(now.timestamp())),
            "left": str(left),
            "secret": self._is.secret,
        }
        if self._is.sign:
            signed = fill(self._is.sign, fields)
            fields["sign"] = _digest(self._is.signing, self._is.secret, signed.encode())
        return fields

    def _check(self) -> None:
        """Fill every template once; raises GatewayError."""
        fields, query = self._fields(None, self._now()), self._is.query
        for template in (self._is.url, self._is.probe, query.url if query else ""):
            fill(template, fields)
        _filled([self._is.body, self._is.headers, query.body if query else {}], fields)

    async def _call(
        self, method: str, url: str, body: Mapping[str, Any], fields: Mapping[str, str]
    ) -> tuple[int, Any]:
        """Give status and content of an answer; content None where there is no JSON."""
        headers = {name: fill(value, fields) for name, value in self._is.headers.items()}
        filled = _filled(body, fields)
        given: dict[str, Any] = {"params": filled} if method == "GET" else {"json": filled}
        if method == "POST" and self._is.form:
            given = {"data": filled}
        address = fill(url, fields)
        async with self._session.request(method, address, headers=headers, **given) as answer:
            raw = await answer.content.read(LONGEST_ANSWER)
        try:
            return answer.status, json.loads(raw)
        except ValueError:
            return answer.status, None

    def _understood(self, delivery: Delivery, status: int, found: Any) -> Receipt:
        reading, code = self._is.answer, ""
        if status in self._is.busy:
            return _receipt(delivery, "queued", problem=f"refused: status {status}")
        if status != OK:
            state: State = "failed" if 400 <= status < 500 else "uncertain"
            return _receipt(delivery, state, problem=f"refused: status {status}")
        code = pick(found, reading.ok)
        if code in reading.good:
            number = pick(found, reading.number) if reading.number else ""
            return Receipt(delivery=delivery.id, state="accepted", provider=number or None)
        if code in reading.busy:
            return _receipt(delivery, "queued", problem=f"refused: code {code}")
        if not code or code in reading.unclear:
            return _receipt(delivery, "uncertain", problem=f"no clear answer: code {code!r}")
        return _receipt(delivery, "failed", problem=f"refused: code {code}")

    def _prove(
        self, known: Callback, url: str, headers: Mapping[str, str], body: bytes, items: list[Any]
    ) -> None:
        """Raise CallbackError for what does not come from the gateway."""
        where, _, name = known.signature.partition(":")
        query = {key: values[0] for key, values in parse_qs(urlsplit(url).query).items()}
        given = {"header": headers.get(name.lower(), ""), "query": query.get(name, "")}
        for item in items:
            said = pick(item, name) if where == "body" else given.get(where, "")
            if not hmac.compare_digest(said.lower().encode(), self._proof(known, body, item)):
                raise CallbackError("the signature is wrong")

    def _proof(self, known: Callback, body: bytes, item: Any) -> bytes:
        if known.proof == "token":
            return self._is.secret.lower().encode()
        if known.proof == "hmac-sha256":
            return _digest("hmac-sha256", self._is.secret, body).encode()
        names = _FIELD.findall(known.signed)
        fields = {name: pick(item, name) for name in names} | {"secret": self._is.secret}
        return _digest("md5", "", fill(known.signed, fields).encode()).encode()

    def _read(self, known: Callback, url: str, item: Any) -> Receipt:
        text = pick(item, known.id) if known.id else urlsplit(url).path.rpartition("/")[2]
        word = pick(item, known.state)
        try:
            return Receipt(
                delivery=uuid.UUID(text),
                state=known.states[word],
                provider=(pick(item, known.number) or None) if known.number else None,
                problem=None if known.states[word] != "failed" else f"code {word}",
            )
        except (KeyError, ValueError) as error:
            raise CallbackError(f"not understood: {error!r}") from None


def fill(template: str, fields: Mapping[str, str]) -> str:
    """Put the fields in; raises GatewayError for one that nobody gives."""

    def field(match: re.Match[str]) -> str:
        if match[1] not in fields:
            raise GatewayError(f"nobody gives the field {{{match[1]}}}: name it under [fields]")
        return fields[match[1]]

    return _FIELD.sub(field, template)


def pick(content: Any, path: str) -> str:
    """Give what stands at a path as ``data.0.code``, as text; empty where nothing does."""
    found = _at(content, path)
    if found is None or isinstance(found, (dict, list)):
        return ""
    return str(found).lower() if isinstance(found, bool) else str(found)


def _at(content: Any, path: str) -> Any:
    for part in path.split("."):
        if isinstance(content, list) and part.isdigit() and int(part) < len(content):
            content = content[int(part)]
        elif isinstance(content, dict):
            content = content.get(part)
        else:
            return None
    return content


def _filled(value: Any, fields: Mapping[str, str]) -> Any:
    match value:
        case str():
            return fill(value, fields)
        case Mapping():
            return {key: _filled(inner, fields) for key, inner in value.items()}
        case list():
            return [_filled(inner, fields) for inner in value]
        case _:
            return value


def _numbered(address: str, form: str) -> str:
    if form == "national":
        return address.removeprefix("+86").removeprefix("+")
    return address.removeprefix("+") if form == "digits" else address


def _digest(kind: str, secret: str, data: bytes) -> str:
    if kind == "hmac-sha256":
        return hmac.digest(secret.encode(), data, "sha256").hex()
    # Some gateways sign with MD5 and nothing else; the secret is in what is signed.
    return hashlib.new(kind, data, usedforsecurity=False).hexdigest()


def _receipt(delivery: Delivery, state: State, *, problem: str) -> Receipt:
    return Receipt(delivery=delivery.id, state=state, problem=problem)
