"""How a page is written on the server: its language, its words, its times, its template."""

import datetime as dt
import hashlib
import zoneinfo
from collections.abc import Mapping
from email.utils import format_datetime, parsedate_to_datetime
from typing import Any, Literal, TypeAlias
from urllib.parse import urlencode

from fastapi import Request
from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse, Response

from server.web.context import Context

Language: TypeAlias = Literal["zh", "en"]

_templates = Environment(
    loader=PackageLoader("server.web"),
    autoescape=select_autoescape(),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)


def language_of(request: Request) -> Language:
    """Give zh or en: as the address says, or as the browser asks; Chinese when neither does."""
    asked = request.query_params.get("lang")
    if asked is not None:
        return "en" if asked.lower().startswith("en") else "zh"
    best: Language = "zh"
    weight = 0.0
    for part in request.headers.get("accept-language", "").split(","):
        name, _, parameters = part.strip().partition(";")
        code = name.lower()[:2]
        try:
            value = float(parameters.strip().removeprefix("q=") or 1)
        except ValueError:
            continue
        if code in {"zh", "en"} and value > weight:
            best, weight = ("en" if code == "en" else "zh"), value
    return best


def local(context: Context, moment: dt.datetime, *, form: str = "%Y-%m-%d %H:%M") -> str:
    """Write a time as people here read it."""
    return moment.astimezone(zoneinfo.ZoneInfo(context.settings.zone)).strftime(form)


def agency(context: Context, language: str) -> str:
    """Give the bureau's name."""
    alerts = context.settings.alerts
    return alerts.agency_zh if language == "zh" else alerts.agency_en


def page(
    request: Request,
    context: Context,
    template: str,
    *,
    language: Language,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    **values: Any,
) -> Response:
    """Give a page: what `written` gives, as `answer` gives it."""
    text = written(request, context, template, language=language, **values)
    return answer(request, text, language=language, status=status, headers=headers)


def written(
    request: Request, context: Context, template: str, *, language: Language, **values: Any
) -> str:
    """Write a page; every template knows ``t`` (words), ``local`` (times), languages and agency."""

    def words(key: str, **fields: object) -> str:
        return context.catalogue.text(key, language, **fields)

    other: Language = "en" if language == "zh" else "zh"
    given = [(name, value) for name, value in request.query_params.items() if name != "lang"]
    return _templates.get_template(template).render(
        t=words,
        local=lambda moment, form="%Y-%m-%d %H:%M": local(context, moment, form=form),
        language=language,
        code="zh-CN" if language == "zh" else "en",
        other=other,
        other_code="zh-CN" if other == "zh" else "en",
        other_address=f"{request.url.path}?{urlencode([*given, ('lang', other)])}",
        agency=agency(context, language),
        exercise=context.live.exercise,
        **values,
    )


def answer(
    request: Request,
    text: str,
    *,
    language: Language,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """Send a page; one of 200 carries a tag, and is not sent again to a browser that has it."""
    kept = {
        "cache-control": "no-cache",
        "content-language": language,
        "vary": "accept-language",
        **(headers or {}),
    }
    if status != 200:
        return HTMLResponse(text, status, headers=kept)
    return tagged(request, text.encode(), media_type="text/html; charset=utf-8", headers=kept)


def tagged(
    request: Request,
    body: bytes,
    *,
    media_type: str,
    headers: Mapping[str, str] | None = None,
    changed: dt.datetime | None = None,
) -> Response:
    """Give a body with its tag, or 304 to whoever has it already (RFC 9110, 13.1).

    changed: when it became what it is, for readers that know no tags.
    """
    tag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
    given = {"etag": tag, **(headers or {})}
    if changed is not None:
        given["last-modified"] = format_datetime(changed.astimezone(dt.UTC), usegmt=True)
    if _known(request, tag, changed):
        return Response(status_code=304, headers=given)
    return Response(body, media_type=media_type, headers=given)


def _known(request: Request, tag: str, changed: dt.datetime | None) -> bool:
    said = request.headers.get("if-none-match")
    if said is not None:
        return bool({name.strip() for name in said.split(",")} & {tag, f"W/{tag}", "*"})
    since = request.headers.get("if-modified-since")
    if since is None or changed is None:
        return False
    try:
        return changed.replace(microsecond=0) <= parsedate_to_datetime(since)
    except (ValueError, TypeError):  # no date, or one without a zone
        return False
