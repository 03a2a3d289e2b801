"""What a content destination declares that it supports.

Rules: what is missing, malformed or does not fit its own digest supports nothing. Source: Axis Body Worn Content
Destination API 1.6.13, "Capability API".
"""

import json
from enum import StrEnum
from hashlib import md5
from http import HTTPStatus

from agent.stores.answer import Answer

_SECTIONS = ("Read", "Store", "StoreAndRead")


class Capability(StrEnum):
    """Those that a station makes use of."""

    SYSTEM_ID = "StoreReadSystemID"
    USER_ID = "StoreUserIDKey"
    BOOKMARKS = "StoreBookmarks"
    REJECTED = "StoreRejectedContent"


Capabilities = frozenset[Capability]

ALL: Capabilities = frozenset(Capability)


def declared(answer: Answer) -> Capabilities:
    """Read the answer to the question for `System/Capabilities.json`; empty in any doubt. Never raises."""
    etag = answer.headers.get("etag", "").strip().strip('"').lower()
    if answer.status != HTTPStatus.OK or etag != md5(answer.body, usedforsecurity=False).hexdigest():
        return frozenset()
    try:
        fields = json.loads(answer.body)
    except (ValueError, RecursionError):
        return frozenset()
    if not isinstance(fields, dict) or not all(isinstance(fields.get(name, {}), dict) for name in _SECTIONS):
        return frozenset()
    said = [fields.get(name, {}) for name in _SECTIONS]
    return frozenset(each for each in Capability if any(section.get(each.value) is True for section in said))
