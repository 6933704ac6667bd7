"""One module per way to reach people; `port` says what each of them offers.

`RENDERERS` holds, by channel, what makes the words of a message into what the channel carries.
"""

from collections.abc import Callable, Mapping
from types import MappingProxyType

from alerts.channels import (
    broadcast,
    display,
    email,
    fax,
    push,
    sms,
    social,
    voice,
    webhook,
)
from alerts.channels.port import Script
from alerts.texts.wording import Said

RENDERERS: Mapping[str, Callable[[Said], Script]] = MappingProxyType(
    {
        sms.NAME: sms.render,
        voice.NAME: voice.render,
        email.NAME: email.render,
        fax.NAME: fax.render,
        push.NAME: push.render,
        social.NAME: social.render,
        webhook.NAME: webhook.render,
        display.NAME: display.render,
        broadcast.NAME: broadcast.render,
    }
)
