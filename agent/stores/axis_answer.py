"""What a content destination answered, and what a refusal means for us.

Rules: an answer is judged by its status; texts that a destination sends are never repeated. Real Swift servers send a
web page with `201 Created`, so only the statuses that belong to a request count as success.
Source: Axis Body Worn Content Destination API 1.6.13, "Error response descriptions".
"""

from datetime import datetime
from http import HTTPStatus

from agent.core.errors import ObjectRefused, StoreError, StoreRefused
from agent.stores.answer import Answer, BytesAltered, CredentialRefused, refusal
from agent.stores.receipts import ObjectNotHeld

_LICENCE_HINT = "Buy more licences for the content destination, or free some there; the spool keeps the footage."
_RIGHTS_HINT = "Give the user of the connection file the right to write at the content destination."
_READING_HINT = (
    "Allow reading of recordings (GET) at the content destination, or let another store confirm: what cannot be read"
    " back is never counted as safe."
)
_NEVER_HINT = (
    "Ask the operator of the content destination why (unknown user or camera, time out of bounds). One that declares"
    " StoreRejectedContent is given such clips apart; the spool keeps the footage meanwhile."
)
_DONE = frozenset({HTTPStatus.CREATED, HTTPStatus.ACCEPTED, HTTPStatus.NO_CONTENT})
_NOT_OFFERED = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED})


class NeverStorable(ObjectRefused):
    """The destination cannot store this, and never will be able to (400)."""

    hint = _NEVER_HINT


class TokenRefused(CredentialRefused):
    """The destination does not accept the token, or the name and key for which it gives one."""

    hint = "Put a connection file with a valid BlobAPIUserName and BlobAPIKey in place; it is read again by itself."


def is_done(answer: Answer) -> bool:
    """Tell whether a PUT or POST was carried out."""
    return answer.status in _DONE


def is_offered(answer: Answer) -> bool:
    """Tell whether the destination answers such a question at all; reading is optional in this interface."""
    return answer.status not in _NOT_OFFERED


def axis_refusal(answer: Answer, doing: str, now: datetime) -> StoreError:
    """Turn an answer that is no success into the error that says who must do what."""
    match answer.status:
        case HTTPStatus.BAD_REQUEST:
            return NeverStorable(f"{doing}: the content destination will never store it (400)")
        case HTTPStatus.UNAUTHORIZED:
            return TokenRefused(f"{doing}: the content destination does not accept this station's log-in (401)")
        case HTTPStatus.PAYMENT_REQUIRED:
            return StoreRefused(f"{doing}: the content destination is out of licences (402)", hint=_LICENCE_HINT)
        case HTTPStatus.FORBIDDEN:
            text = f"{doing}: the content destination does not permit it to this user (403)"
            return StoreRefused(text, hint=_RIGHTS_HINT)
        case HTTPStatus.UNPROCESSABLE_ENTITY:
            return BytesAltered(f"{doing}: the content destination received other bytes than were sent (422)")
        case _:
            return refusal(answer, doing, now)


def reading_refusal(answer: Answer, doing: str, now: datetime) -> StoreError:
    """The same for an attempt to read back what was sent."""
    if answer.status in (HTTPStatus.NOT_FOUND, HTTPStatus.GONE):
        return ObjectNotHeld(f"{doing}: the content destination does not have it ({answer.status})")
    if answer.status == HTTPStatus.BAD_REQUEST or not is_offered(answer):
        text = f"{doing}: the content destination does not hand out what it holds ({answer.status})"
        return StoreRefused(f"{text}, so it can never confirm", hint=_READING_HINT)
    return axis_refusal(answer, doing, now)
