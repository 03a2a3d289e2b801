"""How a store presented itself with its last good answer: the `Server` header, the certificate, where its chain ends.

Rules: only answers of success count, so that a proxy's error page is not taken for a new server. Texts are cut and
made printable, because a store may send anything.
"""

import hashlib
import re
from datetime import UTC
from typing import Any

import httpx
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from agent.core.commissioning import Certificate, Seen

_MOST_CHARS = 120
_UNPRINTABLE = re.compile(r"[^ -~]")
_CHAIN_DER = 2
"""ENCODING_DER of the interpreter's own TLS module."""


class Sighting:
    """What was seen of one store since the start. Methods may be called from any thread."""

    def __init__(self) -> None:
        """Nothing was seen yet."""
        self.last: Seen | None = None

    def note(self, response: httpx.Response) -> None:
        """Look at an answer whose connection is still open; a refusal shows nothing."""
        if not response.is_success:
            return
        stream = response.extensions.get("network_stream")
        tls = stream.get_extra_info("ssl_object") if stream is not None else None
        before = self.last or Seen(None, None)
        server = plain(response.headers.get("server")) or before.server  # some answers simply do not say
        self.last = Seen(server, None if tls is None else _certificate(tls, before.certificate))


def plain(text: str | None) -> str | None:
    """A text of the store, short and printable; None when it sent none."""
    return None if not text else _UNPRINTABLE.sub("?", text)[:_MOST_CHARS]


def certificate_of(der: bytes, root: bytes | None = None) -> Certificate:
    """Read a certificate in DER form, and the one at its chain's end. Raises ValueError."""
    found = x509.load_der_x509_certificate(der)
    return Certificate(
        fingerprint=hashlib.sha256(der).hexdigest(),
        subject=_name(found.subject),
        issuer=_name(found.issuer),
        begins=found.not_valid_before_utc.astimezone(UTC),
        ends=found.not_valid_after_utc.astimezone(UTC),
        root=None if root is None else hashlib.sha256(root).hexdigest(),
        root_name=None if root is None else _name(x509.load_der_x509_certificate(root).subject),
    )


def pem_certificate(pem: bytes) -> Certificate:
    """Read the first certificate of a PEM text. Raises ValueError."""
    return certificate_of(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER))


def _name(name: x509.Name) -> str:
    return plain(name.rfc4514_string()) or "no name"


def _certificate(tls: Any, known: Certificate | None) -> Certificate | None:  # noqa: ANN401 - two kinds of TLS objects
    der = tls.getpeercert(binary_form=True)
    if der is None:
        return None
    if known is not None and known.fingerprint == hashlib.sha256(der).hexdigest():
        return known
    try:
        return certificate_of(der, _root(tls))
    except ValueError:  # a certificate that OpenSSL takes and this library does not read
        return None


def _root(tls: Any) -> bytes | None:  # noqa: ANN401 - see above
    """The certificate at the end of the chain that was checked, where the interpreter shows it.

    Python shows the chain from 3.13 on; before, only the object inside does.
    """
    inner = getattr(tls, "_sslobj", None)
    chain = getattr(tls, "get_verified_chain", None) or getattr(inner, "get_verified_chain", None)
    found = chain() if chain is not None else None
    if not found:
        return None
    last = found[-1]
    return bytes(last) if isinstance(last, bytes) else bytes(last.public_bytes(_CHAIN_DER))
