"""TLS as a station speaks it: TLS 1.2 or newer, the store's name checked, and the operator's CA alone if given."""

import ssl
from datetime import datetime
from pathlib import Path

from agent.core.clock_policy import clock_problem, clock_text
from agent.core.errors import ConfigError, StoreRefused

# X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED. Source: openssl x509_vfy.h.
_TIME_CODES = frozenset({9, 10})
# X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT, ...DEPTH_ZERO_SELF_SIGNED_CERT, ...SELF_SIGNED_CERT_IN_CHAIN,
# ...UNABLE_TO_GET_ISSUER_CERT_LOCALLY, ...UNABLE_TO_VERIFY_LEAF_SIGNATURE. Source: openssl x509_vfy.h.
_ISSUER_CODES = frozenset({2, 18, 19, 20, 21})
_CLOCK_HINT = (
    "Check the station's clock first: a wrong clock makes every certificate look expired or not yet valid."
    " If the clock is right, the store's certificate must be renewed. Offloading goes on meanwhile."
)
_SET_HINT = "Set the station's clock, or let it be set from the network (NTP). Offloading goes on meanwhile."
_NAME_HINT = (
    "The certificate must be issued by the CA in `ca` for the host in `url`; if neither changed, someone may be"
    " in between. Nothing was sent."
)
_OWN_HINT = "Renew this station's client certificate (`client_cert`, `client_key`). Offloading goes on meanwhile."


def client_context(ca: Path | None, client_cert: Path | None, client_key: Path | None) -> ssl.SSLContext:
    """Make the context for one store; with `ca`, the system's own store is not consulted. Raises ConfigError."""
    context = _bare(client_cert, client_key)
    try:
        if ca is None:
            context.load_default_certs()
        else:
            context.load_verify_locations(cafile=ca)
    except OSError as error:
        raise ConfigError(f"the CA file {ca} cannot be used: {error}") from error
    return context


def _bare(client_cert: Path | None, client_key: Path | None) -> ssl.SSLContext:
    """Trusts nobody yet."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # checks certificate and host name
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if client_cert is not None:
        try:
            # An empty password: an encrypted key fails here instead of asking at a terminal.
            context.load_cert_chain(client_cert, client_key, password="")
        except OSError as error:
            raise ConfigError(f"the client certificate {client_cert} cannot be used: {error}") from error
    return context


def pinned_context(certificates: str, client_cert: Path | None, client_key: Path | None) -> ssl.SSLContext:
    """Make the context for a store whose certificate, or its issuer's, is one of these (PEM). Raises ConfigError."""
    context = _bare(client_cert, client_key)
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN  # a pinned certificate is believed, whoever issued it
    try:
        context.load_verify_locations(cadata=certificates)
    except (OSError, ValueError) as error:
        raise ConfigError(f"a pinned certificate cannot be used: {error}") from error
    return context


def tls_cause(error: BaseException) -> ssl.SSLError | None:
    """Find the TLS error behind a library's error, if there is one."""
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None or isinstance(cause, ssl.SSLError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None


def is_about_time(error: ssl.SSLError) -> bool:
    """Whether the store's certificate is expired or not yet valid, by this station's clock."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _TIME_CODES


def is_about_issuer(error: ssl.SSLError) -> bool:
    """Whether nobody that we trust has signed the store's certificate."""
    return isinstance(error, ssl.SSLCertVerificationError) and error.verify_code in _ISSUER_CODES


def certificate_time_refused(error: ssl.SSLError, doing: str, now: datetime, passed: datetime) -> StoreRefused:
    """Say what the clock and the certificate have to do with each other: which of the two is wrong, if that shows.

    From a certificate alone nobody can tell; a clock that stands before `passed` is wrong for certain.
    """
    what = getattr(error, "verify_message", "certificate is not valid now")
    told = f"{doing}: the store's certificate was not accepted: {what} by this station's clock, {clock_text(now)}"
    wrong = clock_problem(now, passed)
    if wrong is None:
        return StoreRefused(told, hint=_CLOCK_HINT)
    return StoreRefused(f"{told}; {wrong}", hint=_SET_HINT)


def tls_refusal(error: ssl.SSLError, doing: str, *, connecting: bool) -> StoreRefused | None:
    """Say what is wrong between the two certificates; None when the line merely broke."""
    if isinstance(error, ssl.SSLCertVerificationError):
        text = f"{doing}: the store's certificate was not accepted: {error.verify_message}"
        return StoreRefused(text, hint=_NAME_HINT)
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)):
        return None
    reason = (error.reason or "unknown").lower()
    if "bad_record_mac" in reason:
        return None  # a byte was altered on the way; no certificate has anything to do with it
    if "alert" in reason and "cert" in reason:
        return StoreRefused(f"{doing}: the store did not accept this station's certificate: {reason}", hint=_OWN_HINT)
    if connecting or "alert" in reason:
        return StoreRefused(f"{doing}: no TLS connection could be agreed on: {reason}", hint=_NAME_HINT)
    return None
