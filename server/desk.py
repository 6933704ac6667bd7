"""The desk that messages are written at, as the settings have it.

What is wrong with it is told at the start, as a wrong setting.
"""

from pathlib import Path

from alerts.bureau.policy import Policy
from alerts.cap.signature import SignatureError, Signer
from alerts.catalogue import Catalogue, CatalogueError
from alerts.life.ledger import Desk
from alerts.texts import legal
from alerts.texts.wording import Bureau
from server.settings import Settings, SettingsError


def bureau(settings: Settings) -> Bureau:
    """Give who speaks."""
    alerts = settings.alerts
    return Bureau(
        agency={"zh": alerts.agency_zh, "en": alerts.agency_en},
        sender=alerts.sender,
        zone=settings.zone,
        web=settings.web.public_url,
    )


def words(settings: Settings) -> Catalogue:
    """Give the texts, the bureau's own among them; raises SettingsError."""
    try:
        return legal.words(settings.alerts.words)
    except CatalogueError as error:
        raise SettingsError(str(error)) from None


def policy_file(settings: Settings) -> Path | None:
    """Give the file of the policy; None for the one that ships with Fenghuo."""
    return Path(settings.alerts.policy) if settings.alerts.policy else None


def desk(settings: Settings, policy: Policy, catalogue: Catalogue | None = None) -> Desk:
    """Give it; raises SettingsError."""
    alerts = settings.alerts
    try:
        signer = Signer.load(Path(alerts.signature)) if alerts.signature else None
    except SignatureError as error:
        raise SettingsError(f"alerts.signature: {error}") from None
    return Desk(
        bureau=bureau(settings),
        policy=policy,
        catalogue=catalogue or words(settings),
        channels=alerts.channels,
        fallback=alerts.fallback,
        signer=signer,
    )
