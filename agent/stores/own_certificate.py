"""The certificate by which a store knows this station: its key, the request for it, and whether what came back fits.

Rules: a private key is made here and never leaves; only the request does. What a CA sent is believed only if it is for
that very key, valid now, and meant for clients. Messages never hold a key.
"""

from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from agent.core.clock_policy import clock_text
from agent.core.errors import ConfigError

MAX_BYTES = 1 << 20
_CLOCK = "Check the station's clock first; if it is right, ask for a certificate that is valid."
_CLIENTS = "Ask the CA for a certificate for TLS clients."
_PURPOSES = frozenset({ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE})
_ANOTHER = "Make another one with --csr FILE --new-key."
_AGAIN = "Send the request of the newest key to the CA once more: dock-agent enrol or renew with --csr FILE."


@dataclass(frozen=True, slots=True)
class Issued:
    """A certificate that fits, with those of its issuers that came with it, as PEM; when it ends, and its subject."""

    pem: bytes
    subject: str
    ends: datetime


def make_key() -> bytes:
    """A new private key on the curve P-256, as PEM without a password."""
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def make_request(key: bytes, station: str) -> bytes:
    """The request for a client's certificate (PKCS #10) of that key, as PEM; its subject is the station.

    Raises ConfigError.
    """
    builder = x509.CertificateSigningRequestBuilder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, station)]))
    builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH]), critical=False)
    return builder.sign(_key(key), SHA256()).public_bytes(Encoding.PEM)


def check_certificate(pem: bytes, key: bytes, now: datetime) -> Issued:
    """Look whether a certificate, first in a PEM text, can be used with that key from now on. Raises ConfigError."""
    if len(pem) > MAX_BYTES or b"PRIVATE KEY" in pem:
        hint = "Give the certificate alone, as PEM; a key that came from outside is not used."
        raise ConfigError("what was given as a certificate is too large, or holds a private key", hint=hint)
    try:
        chain = x509.load_pem_x509_certificates(pem)
        own, subject = chain[0], chain[0].subject.rfc4514_string()
        faults = ((_wrong_key(own, key), _AGAIN), (_wrong_time(own, now), _CLOCK), (_wrong_purpose(own), _CLIENTS))
    except (ValueError, UnsupportedAlgorithm, x509.DuplicateExtension) as error:
        hint = "Give what the CA issued, as PEM, the station's certificate first. Nothing was changed."
        raise ConfigError("what was given is no certificate that can be read", hint=hint) from error
    for why, hint in faults:
        if why is not None:
            raise ConfigError(f"the certificate of {subject} was not put into place: {why}", hint=hint)
    whole = b"".join(each.public_bytes(Encoding.PEM) for each in chain)
    return Issued(whole, subject, own.not_valid_after_utc)


def _wrong_key(own: x509.Certificate, key: bytes) -> str | None:
    if own.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo) == _public(key):
        return None
    return "it is for another key than the one that waits for it here"


def _wrong_time(own: x509.Certificate, now: datetime) -> str | None:
    if now < own.not_valid_before_utc:
        return f"it is valid from {clock_text(own.not_valid_before_utc)} on only, and it is {clock_text(now)}"
    if now >= own.not_valid_after_utc:
        return f"it is no longer valid since {clock_text(own.not_valid_after_utc)}, and it is {clock_text(now)}"
    return None


def _wrong_purpose(own: x509.Certificate) -> str | None:
    """Where a certificate says nothing of its purpose, it is for any. Source: RFC 5280, section 4.2.1.12."""
    for extension in own.extensions:
        match extension.value:
            case x509.BasicConstraints(ca=True):
                return "it is a CA's own certificate"
            case x509.ExtendedKeyUsage() as usage if not _PURPOSES & set(usage):
                return "it is not for the authentication of clients"
            case x509.KeyUsage(digital_signature=False):
                return "its key may not sign, as a client of TLS must"
            case _:
                pass
    return None


def _key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    try:
        key = load_pem_private_key(pem, None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        raise ConfigError("the key that waits for its certificate cannot be read", hint=_ANOTHER) from error
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ConfigError("the key that waits for its certificate is of another kind", hint=_ANOTHER)
    return key


def _public(pem: bytes) -> bytes:
    return _key(pem).public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
