"""Telling: the role that sends what the ledger holds, through the channels in use."""

import asyncio
import contextlib

from alerts import dispatch
from alerts.channels.exercise import ExercisePhone
from alerts.channels.port import Channel
from alerts.channels.sms import Sms
from server.clock import Clock, SystemClock
from server.processes import ready
from server.settings import Settings, SettingsError
from server.store.database import Database
from server.vitals import Vitals


async def serve(settings: Settings, *, clock: Clock) -> None:
    """Send until cancelled. Raises SettingsError for a channel that lacks what it needs."""
    async with contextlib.AsyncExitStack() as stack:
        channels: list[Channel] = [ExercisePhone()]
        for name in settings.alerts.channels:
            if name != Sms.name:
                raise SettingsError(f"alerts.channels: no channel {name!r}, there is: {Sms.name}")
            channel = sms(settings)
            stack.push_async_callback(channel.close)
            channels.append(channel)
        database = await Database.open(settings.store.url, name="fenghuo alert")
        stack.push_async_callback(database.close)
        ready("alert")
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(Vitals().publish(database, "alert", SystemClock()))
            tasks.create_task(
                dispatch.run(
                    database.connection, channels, clock=clock, workers=settings.alerts.workers
                )
            )


def sms(settings: Settings) -> Sms:
    """Give the SMS channel; make it inside the event loop, and close it. Raises SettingsError."""
    twilio = settings.twilio
    for name in ("account", "token", "sender"):
        if not getattr(twilio, name):
            raise SettingsError(f"twilio.{name} is needed for the channel sms")
    public = settings.web.public_url.rstrip("/")
    return Sms(
        account=twilio.account,
        token=twilio.token,
        sender=twilio.sender,
        base_url=twilio.base_url,
        timeout=twilio.timeout,
        callback=f"{public}/api/v1/receipts/sms" if public else "",
    )
