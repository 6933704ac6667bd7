"""Who says so: XML signatures on alerts (CAP 1.2, section 3.3.4.1), made and checked.

An enveloped signature over the whole document, exclusive canonical form, SHA-256, with the
certificate inside. A signature shows that nothing was changed since somebody who holds the key
signed it; who that is, only a certificate from an authority that one trusts can say.
"""

import datetime as dt
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from lxml import etree
from signxml.algorithms import (
    CanonicalizationMethod,
    DigestAlgorithm,
    SignatureConstructionMethod,
    SignatureMethod,
)
from signxml.exceptions import (
    InvalidCertificate,
    InvalidDigest,
    InvalidSignature,
    SignXMLException,
)
from signxml.signer import XMLSigner
from signxml.verifier import SignatureConfiguration, XMLVerifier

from alerts.cap.document import NAMESPACE

_DS: Final = "http://www.w3.org/2000/09/xmldsig#"
_WRONG: Final = (SignXMLException, ValueError, etree.LxmlError)
_EXCLUSIVE: Final = CanonicalizationMethod.EXCLUSIVE_XML_CANONICALIZATION_1_0


class SignatureError(ValueError):
    """A key that cannot be used, or a signature that does not hold; the text says why."""


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key and the certificate that belongs to it."""

    key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
    certificate: x509.Certificate

    @classmethod
    def load(cls, path: Path) -> "Signer":
        """Read a PEM file with a private key (EC or RSA) and its certificate.

        Raises SignatureError for anything else.
        """
        try:
            text = path.read_bytes()
            key = load_pem_private_key(text, password=None)
            certificate = x509.load_pem_x509_certificate(text)
        except (OSError, ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise SignatureError(
                f"{path}: not a PEM file with a private key and its certificate: {error}"
            ) from error
        if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
            raise SignatureError(f"{path}: the key is neither EC nor RSA")
        if key.public_key() != certificate.public_key():
            raise SignatureError(f"{path}: the certificate belongs to another key")
        return cls(key, certificate)

    def sign(self, xml: str) -> str:
        """Give the alert with a signature at its end."""
        method = (
            SignatureMethod.ECDSA_SHA256
            if isinstance(self.key, ec.EllipticCurvePrivateKey)
            else SignatureMethod.RSA_SHA256
        )
        signer = XMLSigner(
            method=SignatureConstructionMethod.enveloped,
            signature_algorithm=method,
            digest_algorithm=DigestAlgorithm.SHA256,
            c14n_algorithm=_EXCLUSIVE,
        )
        signed = signer.sign(etree.fromstring(xml), key=self.key, cert=[self.certificate])
        return etree.tostring(signed, encoding="unicode")


@dataclass(frozen=True, slots=True)
class Signature:
    """A signature that holds.

    trusted: its certificate comes from an authority that was given. laid_out: white space was
    put between the elements after it was signed. late: its certificate is younger than the alert.
    """

    subject: str
    issuer: str
    trusted: bool
    laid_out: bool
    late: bool


def verify(xml: bytes, *, trust: Path | None = None) -> Signature | None:
    """Check the signature of an alert; None where there is none.

    The certificate must not have expired when the alert was sent. White space between elements
    means nothing in CAP, and alerts in the wild are laid out after they were signed: where the
    signature does not hold as the alert stands, it is tried without that. trust: a PEM file with
    the authorities that may vouch, or the very certificates that may sign. Raises
    SignatureError where it does not hold.
    """
    alert = _parse(xml)
    found = alert.findall(f"{{{_DS}}}Signature")
    if not found:
        return None
    if len(found) > 1:
        raise SignatureError("more than one signature")
    if trust is not None and not trust.is_file():
        raise SignatureError(f"{trust} cannot be read")
    certificate = _certificate(found[0])
    sent = _sent(alert)
    late = sent is not None and sent < certificate.not_valid_before_utc
    when = certificate.not_valid_before_utc if late else sent
    laid_out = False
    try:
        _hold(xml, certificate, trust, when)
    except InvalidCertificate as error:
        raise SignatureError(str(error)) from error
    except (InvalidSignature, InvalidDigest) as error:
        laid_out = True
        try:
            _hold(etree.tostring(_parse(xml, blank=False)), certificate, trust, when)
        except _WRONG:
            raise SignatureError(
                "it does not fit the alert: something was changed after it was signed"
            ) from error
    except _WRONG as error:
        raise SignatureError(str(error)) from error
    return Signature(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        trusted=trust is not None,
        laid_out=laid_out,
        late=late,
    )


def _parse(xml: bytes, *, blank: bool = True) -> Any:
    parser = etree.XMLParser(resolve_entities=False, no_network=True, remove_blank_text=not blank)
    return etree.fromstring(xml, parser)


def _hold(
    xml: bytes, certificate: x509.Certificate, trust: Path | None, when: dt.datetime | None
) -> None:
    """Raise what signxml says where the signature does not hold, or is of a part only."""
    config = SignatureConfiguration(
        location="./", verification_time=when, ignore_ambiguous_key_info=True
    )
    verifier = XMLVerifier()
    results = verifier.verify(
        xml, x509_cert=certificate, expect_config=config, validate_schema=False
    )
    if trust is not None and certificate not in _pinned(trust):
        verifier.verify(xml, ca_pem_file=str(trust), expect_config=config, validate_schema=False)
    whole = results[0] if isinstance(results, list) else results
    if whole.signed_xml is None or whole.signed_xml.tag != f"{{{NAMESPACE}}}alert":
        raise SignatureError("it covers only a part of the alert")


def _pinned(trust: Path) -> list[x509.Certificate]:
    """Give the certificates of the file; one that signs itself needs nobody who vouches for it."""
    try:
        return x509.load_pem_x509_certificates(trust.read_bytes())
    except (OSError, ValueError):
        return []


def _certificate(signature: Any) -> x509.Certificate:
    text = signature.findtext(f".//{{{_DS}}}X509Certificate")
    if not text:
        raise SignatureError("it has no certificate, so nobody can check it")
    body = "\n".join(text.split())
    pem = f"-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n"
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise SignatureError(f"its certificate cannot be read: {error}") from error


def _sent(alert: Any) -> dt.datetime | None:
    try:
        sent = dt.datetime.fromisoformat(alert.findtext(f"{{{NAMESPACE}}}sent") or "")
    except ValueError:
        return None
    return sent if sent.tzinfo else None
