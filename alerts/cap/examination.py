"""Is an alert right? Its form, its schema, its rules and its signature, each with the reasons."""

from dataclasses import dataclass
from pathlib import Path

from lxml import etree

from alerts.cap import rules, schema, signature
from alerts.cap.document import NAMESPACE
from alerts.cap.rules import Fault
from alerts.cap.signature import Signature, SignatureError


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found.

    form: why it is no CAP 1.2 alert at all; then nothing else was looked at. unsigned: it bears
    no signature, which is allowed.
    """

    form: tuple[str, ...] = ()
    schema: tuple[str, ...] = ()
    rules: tuple[Fault, ...] = ()
    signature: tuple[str, ...] = ()
    signed: Signature | None = None

    @property
    def valid(self) -> bool:
        """Whether nothing is wrong."""
        return not (self.form or self.schema or self.rules or self.signature)

    def problems(self, language: str) -> dict[str, list[str]]:
        """Give what is wrong, by part; where others say it, as they do, in English."""
        return {
            "form": [*self.form],
            "schema": [*self.schema],
            "rules": [fault.text(language) for fault in self.rules],
            "signature": [*self.signature],
        }


def examine(xml: bytes, *, trust: Path | None = None) -> Examination:
    """Look at an alert from every side; trust: as for `alerts.cap.signature.verify`."""
    try:
        alert = etree.fromstring(xml, etree.XMLParser(resolve_entities=False, no_network=True))
    except etree.XMLSyntaxError as error:
        return Examination(form=(f"not XML: {error}",))
    if alert.tag != f"{{{NAMESPACE}}}alert":
        return Examination(form=(f"the root is {alert.tag}, not a CAP 1.2 alert",))
    signed = None
    wrong: tuple[str, ...] = ()
    try:
        signed = signature.verify(xml, trust=trust)
    except SignatureError as error:
        wrong = (str(error),)
    return Examination(
        schema=tuple(schema.check(alert)),
        rules=tuple(rules.check(xml)),
        signature=wrong,
        signed=signed,
    )
