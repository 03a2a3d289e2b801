"""What an S3 store answered, and what a refusal means for us.

Rules: bodies are small XML without any declaration of types or entities, or they are no answer; error codes are
compared with those that we know and never repeated in messages. A refusal without a body (to HEAD) is judged by its
status and its date. Source: Amazon S3 API, error responses.
"""

from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from agent.core.clock_policy import clock_text
from agent.core.errors import ObjectRefused, StoreBusy, StoreError, StoreLied, StoreRefused
from agent.stores.answer import Answer, BytesAltered, CredentialRefused, refusal, retry_after_s

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

SKEW = timedelta(minutes=14)
"""Stores refuse requests whose time differs by fifteen minutes. Source: Amazon S3 API, RequestTimeTooSkewed."""

_CLOCKS_DIFFER = frozenset({"RequestTimeTooSkewed", "RequestExpired"})
_CREDENTIAL = frozenset(
    {"AccessDenied", "ExpiredToken", "InvalidAccessKeyId", "InvalidToken", "SignatureDoesNotMatch", "AccountProblem"}
)
_PATIENCE = frozenset(
    {
        "BandwidthLimitExceeded",
        "ConditionalRequestConflict",
        "InternalError",
        "OperationAborted",
        "RequestTimeout",
        "ServiceUnavailable",
        "SlowDown",
        "SlowDownRead",
        "SlowDownWrite",
    }
)
_FULL = frozenset({"InsufficientCapacity", "NoSpaceLeft", "QuotaExceeded", "XMinioStorageFull"})
_TOO_LARGE = frozenset({"EntityTooLarge", "MaxMessageLengthExceeded"})
_ALTERED = frozenset({"BadDigest", "InvalidDigest", "XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch"})
_REGION = frozenset({"AuthorizationHeaderMalformed", "IllegalLocationConstraintException"})
_CLOCK_HINT = "Set the station's clock, or the store's; offloading goes on meanwhile and the upload follows by itself."
_BUCKET_HINT = "Create the bucket, or correct the store's `url`."
_REGION_HINT = "Set the store's `region` to that of its bucket."
_FULL_HINT = "Make room in the evidence store, or raise its quota; the spool keeps the footage meanwhile."
_LARGE_HINT = "Raise the size limit of the store, or of the proxy in front of it."


class PartsDoubted(StoreLied):
    """The store does not know parts as it had acknowledged them: the upload is created anew."""


def document(body: bytes, root: str, doing: str) -> "Element":
    """Read an answer whose outermost element must be `root`. Raises StoreError."""
    node = _parsed(body)
    if node is None or _name(node) != root:
        raise StoreError(f"{doing}: the store's answer is not the document that belongs to the question")
    return node


def root_of(body: bytes) -> str:
    """The name of the outermost element, empty for what is no document."""
    node = _parsed(body)
    return "" if node is None else _name(node)


def children(node: "Element", name: str) -> "list[Element]":
    """The children of that name."""
    return [child for child in node if _name(child) == name]


def text_of(node: "Element", name: str) -> str:
    """The text of the first child of that name; empty when there is none."""
    found = children(node, name)
    return (found[0].text or "").strip() if found else ""


def error_code(body: bytes) -> str:
    """The code of an error document; empty when the body is none."""
    node = _parsed(body)
    return text_of(node, "Code") if node is not None and _name(node) == "Error" else ""


def s3_refusal(answer: Answer, doing: str, now: datetime) -> StoreError:
    """Turn an answer that is no success into the error that says who must do what."""
    code, status = error_code(answer.body), answer.status
    if code in _CLOCKS_DIFFER or (status == HTTPStatus.FORBIDDEN and _is_far_off(answer, now)):
        text = f"{doing}: the store's clock differs from this station's, which says {clock_text(now)} ({status})"
        return StoreRefused(text, hint=_CLOCK_HINT)
    if code in _PATIENCE:
        pause_s = retry_after_s(answer.headers.get("retry-after"), now)
        return StoreBusy(f"{doing}: the store asks for patience ({status})", retry_after_s=pause_s)
    if code in _ALTERED:
        return BytesAltered(f"{doing}: the store received other bytes than were sent ({status})")
    return _of_operator(code, answer, doing) or refusal(answer, doing, now)


def _of_operator(code: str, answer: Answer, doing: str) -> StoreError | None:
    """What somebody must change at the store or in the configuration."""
    status = answer.status
    if code in _CREDENTIAL:
        return CredentialRefused(f"{doing}: the store does not accept this station's access key ({status})")
    if code == "NoSuchBucket":
        return StoreRefused(f"{doing}: the store has no such bucket ({status})", hint=_BUCKET_HINT)
    if code in _REGION:
        return StoreRefused(f"{doing}: the store's bucket is in another region ({status})", hint=_REGION_HINT)
    if code in _FULL:
        return StoreRefused(f"{doing}: the store has no room left ({status})", hint=_FULL_HINT)
    if code in _TOO_LARGE:
        return ObjectRefused(f"{doing}: larger than the store accepts ({status})", hint=_LARGE_HINT)
    return None


def is_too_large(answer: Answer) -> bool:
    """Whether a request was refused for its size, by the store or by a proxy before it."""
    return answer.status == HTTPStatus.REQUEST_ENTITY_TOO_LARGE or error_code(answer.body) in _TOO_LARGE


def _is_far_off(answer: Answer, now: datetime) -> bool:
    try:
        theirs = parsedate_to_datetime(answer.headers.get("date", ""))
    except (ValueError, IndexError, TypeError, OverflowError):
        return False
    theirs = theirs if theirs.tzinfo is not None else theirs.replace(tzinfo=UTC)
    return abs(theirs - now) > SKEW


def _parsed(body: bytes) -> "Element | None":
    """The outermost element, or None. A store may send blanks first, to keep the line open."""
    try:
        node: Element = fromstring(body.lstrip(), forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        return None
    return node


def _name(node: "Element") -> str:
    return str(node.tag).rpartition("}")[2]
