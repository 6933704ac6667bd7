"""Signatures on alerts: made, checked, and what no longer holds."""

import datetime as dt
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from lxml import etree

from alerts.cap import schema
from alerts.cap.examination import examine
from alerts.cap.signature import SignatureError, Signer, verify
from tests.samples import SIGNALS, step
from tests.unit.test_cap import built

YEAR = dt.timedelta(days=365)
SENT = dt.datetime(2016, 7, 20, tzinfo=dt.UTC)
Key = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


def pem(
    folder: Path,
    *,
    name: str = "bureau",
    key: Key | None = None,
    since: dt.datetime = SENT - YEAR,
    until: dt.datetime = SENT + YEAR,
    of: Key | None = None,
) -> Path:
    """Write a key and its certificate, or the certificate of another one."""
    key = key or ec.generate_private_key(ec.SECP256R1())
    who = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, f"{name}.example")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(who)
        .issuer_name(who)
        .public_key((of or key).public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .sign(of or key, hashes.SHA256())
    )
    path = folder / f"{name}.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def signed(tmp_path: Path) -> str:
    return Signer.load(pem(tmp_path)).sign(built(step("orange")))


def test_every_level_is_valid_in_every_way(tmp_path: Path) -> None:
    signer = Signer.load(pem(tmp_path))
    for hazard, level in SIGNALS:
        found = examine(signer.sign(built(step(level, hazard=hazard))).encode())
        assert found.valid, (hazard, level, found.problems("en"))
        assert found.signed is not None


def test_a_signed_alert_is_valid_in_every_way(signed: str) -> None:
    found = examine(signed.encode())
    assert found.valid, found
    assert found.signed is not None
    assert found.signed.subject == "CN=bureau.example"
    assert (found.signed.trusted, found.signed.laid_out, found.signed.late) == (False, False, False)


def test_rsa_keys_sign_too(tmp_path: Path) -> None:
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    xml = Signer.load(pem(tmp_path, key=key)).sign(built(step("blue")))
    assert verify(xml.encode()) is not None


def test_an_unsigned_alert_has_no_signature() -> None:
    found = examine(built(step("blue")).encode())
    assert found.valid
    assert found.signed is None


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("<severity>Severe", "<severity>Minor"),
        ("2016-07-20T14:00", "2016-07-20T15:00"),
        ("<status>Exercise", "<status>Actual"),
    ],
)
def test_what_was_changed_does_not_hold(signed: str, old: str, new: str) -> None:
    assert old in signed
    found = examine(signed.replace(old, new).encode())
    assert found.signature == (
        "it does not fit the alert: something was changed after it was signed",
    )
    assert not found.valid


def test_white_space_between_elements_changes_nothing(tmp_path: Path) -> None:
    dense = etree.tostring(
        etree.fromstring(built(step("red")), etree.XMLParser(remove_blank_text=True)),
        encoding="unicode",
    )
    root = etree.fromstring(Signer.load(pem(tmp_path)).sign(dense))
    etree.indent(root)
    found = verify(etree.tostring(root))
    assert found is not None
    assert found.laid_out


def test_two_signatures_are_one_too_many(signed: str) -> None:
    start, end = signed.index("<ds:Signature "), signed.index("</alert>")
    twice = signed[:end] + signed[start:end] + signed[end:]
    with pytest.raises(SignatureError, match="more than one"):
        verify(twice.encode())


def test_an_expired_certificate_does_not_hold(tmp_path: Path) -> None:
    path = pem(tmp_path, since=SENT - 2 * YEAR, until=SENT - YEAR)
    xml = Signer.load(path).sign(built(step("blue")))
    with pytest.raises(SignatureError, match="expired"):
        verify(xml.encode())


def test_a_certificate_younger_than_the_alert_is_told(tmp_path: Path) -> None:
    path = pem(tmp_path, since=SENT + dt.timedelta(days=30))
    found = verify(Signer.load(path).sign(built(step("blue"))).encode())
    assert found is not None
    assert found.late


def test_a_certificate_that_is_given_itself_is_trusted(tmp_path: Path, signed: str) -> None:
    found = verify(signed.encode(), trust=tmp_path / "bureau.pem")
    assert found is not None
    assert found.trusted
    old = pem(tmp_path, name="old", until=SENT - dt.timedelta(days=1))
    with pytest.raises(SignatureError):
        verify(Signer.load(old).sign(built(step("blue"))).encode(), trust=old)


def test_only_given_authorities_are_trusted(tmp_path: Path, signed: str) -> None:
    stranger = pem(tmp_path, name="stranger")
    with pytest.raises(SignatureError):
        verify(signed.encode(), trust=stranger)
    with pytest.raises(SignatureError, match="cannot be read"):
        verify(signed.encode(), trust=tmp_path / "none.pem")


def test_keys_that_cannot_be_used(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.write_text("no key", "ascii")
    with pytest.raises(SignatureError, match="not a PEM file"):
        Signer.load(nothing)
    other = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(SignatureError, match="another key"):
        Signer.load(pem(tmp_path, of=other))


@pytest.mark.parametrize("text", [b"", b"<alert/>", b"\x00", b"<!DOCTYPE a><a>&b;</a>"])
def test_what_is_no_alert_is_told_as_such(text: bytes) -> None:
    found = examine(text)
    assert found.form
    assert not found.valid


def test_the_schema_names_the_line() -> None:
    xml = built(step("blue")).replace("<severity>Minor</severity>", "<severity>Bad</severity>", 1)
    (problem, *_) = schema.check(etree.fromstring(xml))
    assert problem.startswith("line ")
    assert "severity" in problem
