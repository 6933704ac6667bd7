"""What can go wrong with the store, each with a code and its values for the words people read."""


class StoreError(Exception):
    """Something about the database that a person has to know.

    code: key of the sentence in the catalogue (topic ``store``).
    values: what the sentence mentions.
    """

    def __init__(self, code: str, sentence: str, /, **values: object) -> None:
        """Keep the code and give ``sentence``, filled with the values, as the English message."""
        super().__init__(sentence.format(**values))
        self.code = code
        self.values = values


class EmbeddedError(StoreError):
    """The embedded server cannot start, or was not what it should be."""
