"""Who signed the certificate of a store that we do not trust: looked up for the message only.

Rules: the connection for it ends once the certificate is there, before anything of a request leaves; nothing that is
read here changes what is trusted. A name is shown only as far as it is plain text.
"""

import asyncio
import re
import ssl
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
from cryptography import x509
from cryptography.x509.oid import NameOID

from agent.core.errors import StoreRefused
from agent.stores.remote import Remote

_STRANGE = re.compile(r"[^A-Za-z0-9 .,_()'&-]")
_MOST_CHARS = 64
_SHAKEN = frozenset({"connection.start_tls.complete", "proxy.start_tls.complete"})
_HINT = (
    "Somebody inspects TLS on the way, or the store's CA is missing: let the network pass the store through"
    " uninspected, or set `ca` to the file of the CA that signs for the store. Nothing was sent."
)
_PUBLIC_HINT = (
    "The CA in `ca` did not sign it, but a public authority did: if the store's operator has changed to that one, take"
    " `ca` out of the configuration; if not, someone may be in between. Nothing was sent."
)


@dataclass(frozen=True, slots=True)
class Issuer:
    """`name` is empty when nobody could tell. `public`: an authority in the system's list stands behind it."""

    name: str = ""
    public: bool = False


class _Seen(Exception):
    """The certificate is there; carries it as DER."""

    def __init__(self, der: bytes) -> None:
        super().__init__("certificate seen")
        self.der = der


async def find_issuer(remote: Remote, most_s: float) -> Issuer:
    """Look by whom the certificate is signed, within `most_s` seconds. Raises nothing."""
    listed = ssl.create_default_context()
    listed.check_hostname = False
    trusting = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
    with suppress(TimeoutError):
        async with asyncio.timeout(most_s):
            for context, public in ((listed, True), (trusting, False)):
                der = await _certificate(remote, context)
                if der is not None:
                    return Issuer(_name(der), public)
    return Issuer()


def issuer_refused(error: ssl.SSLError, doing: str, issuer: Issuer) -> StoreRefused:
    """Say whose certificate came, and what that means."""
    what = getattr(error, "verify_message", "unknown issuer")
    by = f"; it was issued by {issuer.name}" if issuer.name else ""
    text = f"{doing}: the store's certificate was not accepted: {what}{by}"
    return StoreRefused(text, hint=_PUBLIC_HINT if issuer.public else _HINT)


async def _certificate(remote: Remote, context: ssl.SSLContext) -> bytes | None:
    """The certificate that is shown, where `context` accepts it."""

    async def look(event: str, info: dict[str, Any]) -> None:
        if event in _SHAKEN:
            stream = info["return_value"]
            der = stream.get_extra_info("ssl_object").getpeercert(binary_form=True)
            await stream.aclose()
            raise _Seen(der or b"")

    transport = remote.route.async_transport(context, httpx.Limits(max_connections=1))
    async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
        try:
            await client.head(remote.endpoint.base, extensions={"trace": look})
        except _Seen as seen:
            return seen.der
        except (httpx.HTTPError, httpx.StreamError, OSError):
            return None
    return None


def _name(der: bytes) -> str:
    """Name and organisation of the issuer, as far as they are plain text; empty when they cannot be read."""
    try:
        issuer = x509.load_der_x509_certificate(der).issuer
    except ValueError:
        return ""
    found = [
        str(value.value)
        for oid in (NameOID.COMMON_NAME, NameOID.ORGANIZATION_NAME)
        for value in issuer.get_attributes_for_oid(oid)[:1]
    ]
    return ", ".join(f'"{_STRANGE.sub("?", text)[:_MOST_CHARS]}"' for text in dict.fromkeys(found))
