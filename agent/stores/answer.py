"""What a store answered, and what a refusal means for us.

Rules: an answer is judged by its status and a few headers; texts that a store sends are never repeated in
messages. Only `prove` decides that a store holds something; no answer here does.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from agent.core.errors import ObjectRefused, StoreBusy, StoreError, StoreLied, StoreRefused, StoreUnreachable

_NUMBER = re.compile(r"[0-9]{1,19}")
_SECONDS = re.compile(r"[0-9]{1,10}")
_HOST = re.compile(r"[A-Za-z0-9.:-]{1,253}")

_PASSING = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.CONFLICT, HTTPStatus.REQUEST_TIMEOUT})
_OF_ALL_REQUESTS = frozenset(
    {
        HTTPStatus.PAYMENT_REQUIRED,
        HTTPStatus.METHOD_NOT_ALLOWED,
        HTTPStatus.PROXY_AUTHENTICATION_REQUIRED,
        HTTPStatus.PRECONDITION_FAILED,  # tus 1.0.0: another version of the protocol
        HTTPStatus.MISDIRECTED_REQUEST,
        HTTPStatus.UPGRADE_REQUIRED,
    }
)
"""These speak of the way we ask, which is the same for every object. Source: RFC 9110, section 15.5."""


_MOVED_HINT = (
    "If the store has moved, change its `url` in the configuration; if that is a network's log-in page, let the station"
    " through there."
)


class BytesAltered(StoreLied):
    """The store computed another digest than that of the bytes that we sent."""


class UploadLocked(StoreError):
    """The store still holds this one upload for an earlier request; others are not concerned."""

    code = "store.upload_locked"


class CredentialRefused(StoreRefused):
    """The store does not accept the token that it was shown; the file may hold a newer one."""

    hint = "Put a valid credential into the store's credential file; it is read again by itself."


class AnswerTooLarge(StoreError):
    """What came is more than any answer of a store has."""


class NotTheStore(StoreUnreachable):
    """Something else answered in the store's place: a network's log-in page, a proxy, another program."""

    hint = (
        "A network's log-in page or a proxy may stand in between: let the station through there, or mend the store's"
        " `url`. The spool keeps the footage and the upload goes on by itself."
    )


@dataclass(frozen=True, slots=True)
class Answer:
    """Status, the headers (names in lower case) and the body as it came, without decoding."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    def number(self, name: str) -> int | None:
        """A header that must be a plain decimal number; None when it is missing or anything else."""
        text = self.headers.get(name, "")
        return int(text) if _NUMBER.fullmatch(text) else None

    @property
    def is_web_page(self) -> bool:
        """Tell whether a page for people came; no store that a station speaks to sends one."""
        return self.headers.get("content-type", "").partition(";")[0].strip().lower() == "text/html"


def retry_after_s(text: str | None, now: datetime) -> float | None:
    """Read `Retry-After`: seconds or an HTTP date; None for anything else. How long is too long is not decided here.

    Source: RFC 9110, section 10.2.3.
    """
    if text is None:
        return None
    if _SECONDS.fullmatch(text.strip()):
        return float(text.strip())
    when = http_date(text)
    return None if when is None else max((when - now).total_seconds(), 0.0)


def http_date(text: str | None) -> datetime | None:
    """Read a date as HTTP writes it; None for anything else. Source: RFC 9110, section 5.6.7."""
    try:
        when = parsedate_to_datetime(text or "")
    except (ValueError, IndexError, TypeError, OverflowError):
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)


def refusal(answer: Answer, doing: str, now: datetime) -> StoreError:
    """Turn an answer that is no success into the error that says who must do what."""
    status = answer.status
    pause_s = retry_after_s(answer.headers.get("retry-after"), now)
    if answer.is_web_page and HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return NotTheStore(f"{doing}: a web page answered in the store's place ({status})")
    match status:
        case 401 | 403:
            return CredentialRefused(f"{doing}: the store does not accept this station's credential ({status})")
        case 413:
            hint = "Raise the size limit of the store, or of the proxy in front of it."
            return ObjectRefused(f"{doing}: larger than the store accepts (413)", hint=hint)
        case 507:
            hint = "Make room in the evidence store; the spool keeps the footage meanwhile."
            return StoreRefused(f"{doing}: store disk full (507)", hint=hint, retry_after_s=pause_s)
        case 423:
            return UploadLocked(f"{doing}: the store still holds the upload locked (423)", retry_after_s=pause_s)
        case 429 | 503:
            wish = "" if pause_s is None else f" for {pause_s:.0f} s"
            return StoreBusy(f"{doing}: the store asks for patience{wish} ({status})", retry_after_s=pause_s)
        case 511:
            return NotTheStore(f"{doing}: the network asks for a log-in before it lets anything through (511)")
        case _:
            return _by_class(answer, doing)


def _by_class(answer: Answer, doing: str) -> StoreError:
    status = answer.status
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        text = f"{doing}: the store redirects to {_host_of(answer)} ({status}), which is never followed"
        return StoreRefused(text, hint=_MOVED_HINT)
    if HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status not in _PASSING:
        kind = StoreRefused if status in _OF_ALL_REQUESTS else ObjectRefused
        return kind(f"{doing}: the store does not accept the request ({status})")
    return StoreError(f"{doing}: the store answered {status}")


def _host_of(answer: Answer) -> str:
    try:
        host = urlsplit(answer.headers.get("location", "")).hostname or "itself"
    except ValueError:
        host = ""
    return host if _HOST.fullmatch(host) else "a host whose name cannot be read"
