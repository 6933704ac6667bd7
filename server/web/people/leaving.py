"""The page behind the link in a mail by which its recipient gets no more."""

from fastapi import APIRouter, Request
from starlette.responses import Response

from alerts.people import leaving, subscribers
from server.web.context import Context
from server.web.people import visitor


def router(context: Context) -> APIRouter:
    """Give the routes; the token in the address is all that is asked for."""
    pages = APIRouter(include_in_schema=False)

    @pages.get("/leave/{token}")
    async def ask(token: str, request: Request) -> Response:
        """Ask whether the recipient wants no more: programs, too, open links."""
        known = leaving.read(token, context.seal) is not None
        return visitor.note(request, context, "leave" if known else "leave_bad", asks=known)

    @pages.post("/leave/{token}")
    async def leave(token: str, request: Request) -> Response:
        """Leave, by the button or by that of a mail program (RFC 8058)."""
        delivery = leaving.read(token, context.seal)
        if delivery is None:
            return visitor.note(request, context, "leave_bad")
        async with context.database.connection() as conn:
            number = await leaving.recipient(conn, delivery)
            if number is not None:
                await subscribers.leave(conn, number, at=context.wall.now())
        return visitor.note(request, context, "left")

    return pages
