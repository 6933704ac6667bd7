"""What can go wrong with the store; the sentences people read are in the catalogue."""

from alerts.catalogue import Catalogue


class StoreError(Exception):
    """Something about the database that a person has to know.

    code: key of the sentence in the catalogue's topic ``store``; the message is its English text.
    values: what the sentence mentions.
    """

    def __init__(self, code: str, /, **values: object) -> None:
        super().__init__(Catalogue.load().text(f"store.{code}", "en", **values))
        self.code = code
        self.values = values


class EmbeddedError(StoreError):
    """The embedded server cannot start, or was not what it should be."""
