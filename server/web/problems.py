"""What went wrong, as RFC 9457 says it: ``application/problem+json`` with a sentence that helps."""

from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response


class Problem(Exception):  # noqa: N818 - the name that RFC 9457 gives it
    """An answer that is not what was asked for."""

    def __init__(self, status: int, detail: str, **members: Any) -> None:
        """``members`` stand beside the detail, for machines."""
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.members = members

    def response(self) -> Response:
        """Give the answer."""
        body = {
            "type": "about:blank",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            **self.members,
        }
        return Response(
            msgspec.json.encode(body), self.status, media_type="application/problem+json"
        )


def install(app: FastAPI) -> None:
    """Let every error of the application answer in this form."""

    async def problem(_request: Request, error: Exception) -> Response:
        if isinstance(error, Problem):
            return error.response()
        if isinstance(error, RequestValidationError):
            return _invalid(error).response()
        if isinstance(error, HTTPException):
            answer = Problem(error.status_code, str(error.detail)).response()
            answer.headers.update(error.headers or {})
            return answer
        return Problem(500, "the centre could not answer; its log says why").response()

    for kind in (Problem, RequestValidationError, HTTPException, Exception):
        app.add_exception_handler(kind, problem)


def _invalid(error: RequestValidationError) -> Problem:
    wrong = [
        {"parameter": str(part["loc"][-1]), "detail": str(part["msg"])} for part in error.errors()
    ]
    first = (
        f"{wrong[0]['parameter']}: {wrong[0]['detail']}" if wrong else "the request is not valid"
    )
    return Problem(400, first, errors=wrong)
