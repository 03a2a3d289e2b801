"""What a bucket is asked to do with each new object: lock it for a time, hold it, and tag it for its lifecycle rules.

Rules: a lock that was asked for and is not there is an error, never a detail: there are stores that take the headers
and lock nothing. Some do so for objects that come in parts and lock them when they are asked once more, about the
finished object (Ceph 16): so that is tried before. Only that there is a lock is looked at, not when it ends: an object
may have been there for long.
Source: Amazon S3 API, Object Lock and object tagging.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum
from urllib.parse import urlencode

from agent.core.errors import ObjectRefused
from agent.ports import ClipLabel

_MODE = "x-amz-object-lock-mode"
_UNTIL = "x-amz-object-lock-retain-until-date"
_HOLD = "x-amz-object-lock-legal-hold"
_NAMESPACE = "http://s3.amazonaws.com/doc/2006-03-01/"
BUCKET_HINT = (
    "The bucket must have been made with Object Lock (and keep versions), and the station's key needs"
    " PutObjectRetention, PutObjectLegalHold, GetObjectRetention and GetObjectLegalHold."
    " Or take object_lock and legal_hold out of the configuration."
)


class LockMode(Enum):
    """How firmly an object is locked. Nobody can shorten `compliance`; `governance` gives way to a special right."""

    NONE = "none"
    GOVERNANCE = "governance"
    COMPLIANCE = "compliance"


class NotLocked(ObjectRefused):
    """The store has the object without the lock that was asked for."""

    hint = BUCKET_HINT


@dataclass(frozen=True, slots=True)
class Retention:
    """Without arguments nothing is asked. `days` of lock are counted from the beginning of the upload."""

    mode: LockMode = LockMode.NONE
    days: int = 0
    legal_hold: bool = False
    tags: bool = False

    @property
    def locks(self) -> bool:
        """Whether an object must show a lock or a hold."""
        return self.legal_hold or self.mode is not LockMode.NONE

    @property
    def asks(self) -> bool:
        """Whether anything is asked of a bucket."""
        return self.locks or self.tags

    def headers(self, label: ClipLabel, now: datetime) -> dict[str, str]:
        """The headers of a new object."""
        found: dict[str, str] = {}
        if self.mode is not LockMode.NONE:
            found |= {_MODE: self.mode.name, _UNTIL: _stamp(now + timedelta(days=self.days))}
        if self.legal_hold:
            found[_HOLD] = "ON"
        if self.tags:
            tags = {"class": "event" if label.event else "routine", "station": label.station}
            found["x-amz-tagging"] = urlencode(tags)
        return found

    def documents(self, now: datetime) -> dict[str, bytes]:
        """What locks an object that is there already: the query of each request, and its body."""
        found: dict[str, bytes] = {}
        if self.mode is not LockMode.NONE:
            until = _stamp(now + timedelta(days=self.days))
            fields = f"<Mode>{self.mode.name}</Mode><RetainUntilDate>{until}</RetainUntilDate>"
            found["retention"] = f'<Retention xmlns="{_NAMESPACE}">{fields}</Retention>'.encode()
        if self.legal_hold:
            found["legal-hold"] = f'<LegalHold xmlns="{_NAMESPACE}"><Status>ON</Status></LegalHold>'.encode()
        return found

    def check(self, headers: Mapping[str, str], doing: str) -> None:
        """Look at what a store says of an object. Raises NotLocked. A hold that a person has ended since is fine."""
        shown = headers.get(_MODE, "")
        if self.mode is not LockMode.NONE and shown not in (self.mode.name, LockMode.COMPLIANCE.name):
            raise NotLocked(f"{doing}: the store does not show that it keeps the object locked")
        if self.legal_hold and _HOLD not in headers:
            raise NotLocked(f"{doing}: the store does not show a legal hold on the object")


def _stamp(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
