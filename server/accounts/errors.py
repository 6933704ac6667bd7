"""What can go wrong with an account; the sentences people read are in the catalogue."""

from alerts.catalogue import Catalogue


class AccountError(Exception):
    """A key of the catalogue's ``account.refused``, and its values; the message is English."""

    def __init__(self, key: str, /, **values: object) -> None:
        super().__init__(Catalogue.load().text(f"account.refused.{key}", "en", **values))
        self.key = key
        self.values = values
