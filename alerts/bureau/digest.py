"""Several messages of low levels in one, for whoever wants them gathered."""

from collections.abc import Sequence

import msgspec

from alerts.catalogue import Catalogue
from alerts.texts import segments
from alerts.texts.wording import Said, Sms


def gathered(said: Said, heads: Sequence[str], *, catalogue: Catalogue) -> Said:
    """Give the words of the newest message with those of all in their place.

    heads: the shortest texts of all of them, the oldest first.
    """

    def text(key: str, *, mark: str = said.mark) -> str:
        return catalogue.text(
            f"warning.digest.{key}", said.language, mark=mark, agency=said.agency, heads=joined
        )

    joined = catalogue.text("warning.digest.joint", said.language).join(heads)
    spoken = catalogue.text("warning.ear.exercise", said.language) if said.exercise else ""
    body = text("sms")
    return msgspec.structs.replace(
        said,
        headline=text("subject"),
        description=body,
        sms=Sms(body=body, segments=segments.count(body)),
        spoken=text("spoken", mark=spoken),
    )
