"""SMS through gateways of two shapes, as ``deploy/config`` describes them."""

import hashlib
import hmac
import json
import tomllib
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web

from alerts.channels.gateway import Description, Gateway, GatewayError, fill, pick
from alerts.channels.port import CallbackError, Delivery, ExerciseError
from tests.samples import START, later
from tests.support import free_port

CONFIG = Path(__file__).parents[2] / "deploy" / "config"
SECRET = "the gateway's secret"
PUBLIC = "https://warn.example/api/v1/receipts/sms"
SECOND = str(int(START.timestamp()))


def description(name: str, url: str) -> Description:
    """A shipped description, with another host."""
    text = (CONFIG / f"gateway-{name}.toml").read_text("utf-8")
    for host in ("https://sms.example", "https://gateway.example"):
        text = text.replace(host, url)
    return msgspec.convert({**tomllib.loads(text), "secret": SECRET}, Description)


def delivery(**changes: Any) -> Delivery:
    given = Delivery(
        id=uuid.uuid4(), message=uuid.uuid4(), channel="sms", exercise=False,
        address="+8619900000000", body="【示范气象台】海淀暴雨橙色预警", expires=later(6),
    )  # fmt: skip
    return msgspec.structs.replace(given, **changes)


class Provider:
    """Answers everything alike and remembers what it was asked."""

    def __init__(self) -> None:
        self.answer: Any = {}
        self.status = 200
        self.asked: list[tuple[str, dict[str, str], dict[str, str], Any]] = []

    async def handle(self, request: web.Request) -> web.Response:
        body: Any = dict(await request.post())
        if request.content_type == "application/json":
            body = await request.json()
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.asked.append((request.path, dict(request.query), headers, body))
        return web.json_response(self.answer, status=self.status)


@asynccontextmanager
async def provider(shape: str) -> AsyncIterator[tuple[Provider, Gateway]]:
    found = Provider()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", found.handle)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    gateway = Gateway(description(shape, url), now=lambda: START, callback=PUBLIC)
    try:
        yield found, gateway
    finally:
        await gateway.close()
        await runner.cleanup()


async def test_json_with_a_signature_in_the_header() -> None:
    async with provider("json") as (found, gateway):
        found.answer = {"code": 0, "data": {"messageId": "m-1"}}
        given = delivery()
        receipt = await gateway.send(given, now=START)
        assert (receipt.state, receipt.provider) == ("accepted", "m-1")
        ((path, _, headers, body),) = found.asked
        assert path == "/api/v2/messages"
        assert body == {
            "phone": "8619900000000", "content": given.body, "outId": str(given.id),
            "notifyUrl": f"{PUBLIC}/{given.id}",
        }  # fmt: skip
        signed = f"fenghuo{SECOND}{given.id}8619900000000".encode()
        assert headers["x-sign"] == hmac.digest(SECRET.encode(), signed, "sha256").hex()


async def test_a_form_signed_with_md5() -> None:
    async with provider("form") as (found, gateway):
        found.answer = {"result": [{"code": "SUCCESS", "taskId": 77}]}
        receipt = await gateway.send(delivery(), now=START)
        assert (receipt.state, receipt.provider) == ("accepted", "77")
        ((_, _, headers, body),) = found.asked
        assert "urlencoded" in headers["content-type"]
        assert body["mobile"] == "19900000000"
        signed = f"fenghuo{SECRET}{SECOND}".encode()
        assert body["token"] == hashlib.md5(signed, usedforsecurity=False).hexdigest()


@pytest.mark.parametrize(
    ("status", "answer", "state"),
    [
        (200, {"code": "42901"}, "queued"),
        (200, {"code": "10007"}, "failed"),
        (200, {"code": 50000}, "uncertain"),
        (200, {"other": 1}, "uncertain"),
        (200, ["no object"], "uncertain"),
        (429, {}, "queued"),
        (400, {}, "failed"),
        (502, {}, "uncertain"),
    ],
)
async def test_every_answer_has_one_meaning(status: int, answer: Any, state: str) -> None:
    async with provider("json") as (found, gateway):
        found.status, found.answer = status, answer
        receipt = await gateway.send(delivery(), now=START)
        assert receipt.state == state
        assert receipt.problem


async def test_nobody_there_may_be_repeated_and_an_exercise_never_leaves() -> None:
    nowhere = description("json", f"http://127.0.0.1:{free_port()}")
    gateway = Gateway(nowhere, now=lambda: START)
    assert (await gateway.send(delivery(), now=START)).state == "queued"
    assert await gateway.find(delivery()) is None
    assert not (await gateway.probe()).ok
    assert (await gateway.send(delivery(expires=START), now=START)).state == "failed"
    with pytest.raises(ExerciseError):
        await gateway.send(delivery(exercise=True), now=START)
    await gateway.close()


@pytest.mark.parametrize(
    ("answer", "state"),
    [
        ({"code": 0, "data": {"status": "DELIVERED"}}, "delivered"),
        ({"code": 40400}, "queued"),
        ({"code": 0, "data": {"status": "?"}}, None),
    ],
)
async def test_asked_by_our_own_number(answer: Any, state: str | None) -> None:
    async with provider("json") as (found, gateway):
        found.answer = answer
        given = delivery()
        receipt = await gateway.find(given)
        assert (receipt and receipt.state) == state
        assert found.asked[0][0] == f"/api/v2/messages/{given.id}"
        assert (await gateway.probe()).ok


async def test_a_gateway_that_cannot_be_asked_tells_nothing() -> None:
    async with provider("form") as (found, gateway):
        assert await gateway.find(delivery()) is None
        assert not (await gateway.probe()).ok
        assert not found.asked


async def test_a_receipt_signed_over_its_body() -> None:
    async with provider("json") as (_, gateway):
        number = uuid.uuid4()
        body = json.dumps({"status": "DELIVERED", "messageId": "m-1"}).encode()
        sign = hmac.digest(SECRET.encode(), body, "sha256").hex()
        url = f"{PUBLIC}/{number}"
        (receipt,) = gateway.parse_callback(
            url=url, form={}, headers={"x-sign": sign.upper()}, body=body
        )
        assert (receipt.delivery, receipt.state) == (number, "delivered")
        for headers, content in [
            ({"x-sign": sign}, body + b" "),
            ({}, body),
            ({"x-sign": ""}, b""),
        ]:
            with pytest.raises(CallbackError):
                gateway.parse_callback(url=url, form={}, headers=headers, body=content)


async def test_many_receipts_each_with_its_own_proof() -> None:
    def report(number: uuid.UUID, state: str) -> dict[str, str]:
        signed = f"{number}{state}{SECRET}".encode()
        token = hashlib.md5(signed, usedforsecurity=False).hexdigest()
        return {"uid": str(number), "stat": state, "token": token, "taskId": "7"}

    async with provider("form") as (_, gateway):
        one, two = uuid.uuid4(), uuid.uuid4()
        reports = [report(one, "DELIVRD"), report(two, "UNDELIV")]
        body = json.dumps({"reports": reports}).encode()
        found = gateway.parse_callback(url=PUBLIC, form={}, headers={}, body=body)
        assert [(item.delivery, item.state) for item in found] == [
            (one, "delivered"), (two, "failed"),
        ]  # fmt: skip
        for wrong in ([{**reports[0], "stat": "UNDELIV"}], [report(one, "?")], []):
            body = json.dumps({"reports": wrong}).encode()
            with pytest.raises(CallbackError):
                gateway.parse_callback(url=PUBLIC, form={}, headers={}, body=body)


def test_what_is_wrong_with_a_description_is_told(tmp_path: Path) -> None:
    with pytest.raises(GatewayError, match=r"json\.toml"):
        Description.load(tmp_path / "json.toml")
    file = tmp_path / "x.toml"
    file.write_text('url = "https://a.example"\nbodi = {}\n')
    with pytest.raises(GatewayError, match="bodi"):
        Description.load(file)
    with pytest.raises(GatewayError, match="nobody gives the field"):
        fill("{pone}", {"phone": "1"})
    shipped = Description.load(CONFIG / "gateway-json.toml")
    with pytest.raises(GatewayError, match="secret"):
        Gateway(shipped, now=lambda: START)
    misspelt = msgspec.structs.replace(shipped, secret="x", body={"phone": "{pone}"})
    with pytest.raises(GatewayError, match="pone"):
        Gateway(misspelt, now=lambda: START)


def test_paths() -> None:
    content = {"a": [{"b": True}], "c": None, "d": 0}
    assert [pick(content, path) for path in ("a.0.b", "a.1.b", "c", "d", "a", "x.y")] == [
        "true", "", "", "0", "", "",
    ]  # fmt: skip
