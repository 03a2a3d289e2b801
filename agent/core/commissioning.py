"""What a store was found to do when a person had it probed, and what follows from it.

Rules: pure decisions over facts. A weaker receipt counts only where the store was seen to refuse wrong bytes; a record
is about one URL, one server and one certificate, and about no other. Where nothing was found, nothing is promised.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from agent.core.object import ReceiptKind


class Verdict(StrEnum):
    """What one probe showed."""

    HOLDS = "holds"  # the store does what is asked here
    IGNORED = "ignored"  # it took what it should have refused
    ABSENT = "absent"  # it does not offer this
    UNKNOWN = "unknown"  # it would not say, and nothing depends on it
    CHANGED = "changed"  # not what it was at the probe before
    FAILED = "failed"  # no answer that shows anything


@dataclass(frozen=True, slots=True)
class Probe:
    """One question to a store. `sent` and `answered` are for people; no text of the store stands in them."""

    name: str
    sent: str
    answered: str
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Certificate:
    """A certificate as it was seen. `fingerprint` is the SHA-256 of its DER form, `root` that of the chain's end.

    `root` is None where the chain could not be seen.
    """

    fingerprint: str
    subject: str
    issuer: str
    begins: datetime
    ends: datetime
    root: str | None
    root_name: str | None


@dataclass(frozen=True, slots=True)
class Seen:
    """How a store presents itself: its `Server` header and its certificate; None where it shows none."""

    server: str | None
    certificate: Certificate | None


@dataclass(frozen=True, slots=True)
class Commissioning:
    """What one run of all probes found. `left` names what could not be removed again."""

    store: str
    place: str  # the store's URL
    at: datetime
    seen: Seen
    kinds: frozenset[ReceiptKind]
    probes: tuple[Probe, ...]
    left: tuple[str, ...] = ()

    def meets(self, require: ReceiptKind) -> bool:
        """Whether the store can give a receipt of at least this kind."""
        return any(kind >= require for kind in self.kinds)

    @property
    def failed(self) -> tuple[Probe, ...]:
        """The probes that showed nothing."""
        return tuple(probe for probe in self.probes if probe.verdict is Verdict.FAILED)

    def advice(self) -> ReceiptKind | None:
        """What to write as `require`: the strongest kind that the store gives; None when it gives none."""
        return max(self.kinds, default=None)


def all_hold(probes: Iterable[Probe], names: Sequence[str]) -> bool:
    """Whether each of these probes was made and holds."""
    verdicts = {probe.name: probe.verdict for probe in probes}
    return all(verdicts.get(name) is Verdict.HOLDS for name in names)


def why_outdated(record: Commissioning, place: str, seen: Seen | None) -> str | None:
    """Why a record says nothing about the store as it is now; None when it does.

    `seen` is how the store presented itself last; None when it has not answered since the start.
    """
    if record.place != place:
        return "its url is another one now"
    if seen is None:
        return None
    if seen.server != record.seen.server:
        return "it presents itself as another server or version now"
    now, then = seen.certificate, record.seen.certificate
    if (now and now.fingerprint) != (then and then.fingerprint):
        return "it shows another certificate now"
    return None


def chain_moved(now: Certificate | None, before: Certificate | None) -> bool:
    """Whether the chain ends elsewhere than before, as it does where a network looks into TLS."""
    if now is None or before is None or now.root is None or before.root is None:
        return False
    return now.root != before.root


def copies_out_of_reach(
    copies: int, requires: Mapping[str, ReceiptKind], records: Mapping[str, Commissioning]
) -> list[str]:
    """The stores whose `require` can never be met, if that leaves fewer than `copies`; else nothing.

    A store without a record is given the benefit of the doubt.
    """
    never = [name for name, kind in requires.items() if name in records and not records[name].meets(kind)]
    return sorted(never) if len(requires) - len(never) < copies else []
