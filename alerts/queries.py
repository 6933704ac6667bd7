"""Named queries: SQL lives in ``.sql`` files beside the module that calls it.

A query begins with a line ``-- name: some_name`` and ends at the next such line.
"""

import re
from importlib.resources import files
from typing import LiteralString, cast

_NAME = re.compile(r"^-- name: (\w+)[^\n]*\n", re.MULTILINE)


class Queries:
    """The queries of one file, each an attribute.

    Raises AttributeError for a name that the file does not have.
    """

    def __init__(self, package: str, file: str) -> None:
        """Read ``file`` that lies in ``package``."""
        parts = _NAME.split(files(package).joinpath(file).read_text("utf-8"))
        self._file = f"{package}/{file}"
        self._texts = dict(zip(parts[1::2], (text.strip() for text in parts[2::2]), strict=True))

    def __getattr__(self, name: str) -> LiteralString:
        """Give the text of a query; it is the project's own, never a user's."""
        try:
            return cast("LiteralString", self._texts[name])
        except KeyError:
            raise AttributeError(f"{self._file} has no query {name!r}") from None
