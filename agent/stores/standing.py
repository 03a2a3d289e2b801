"""How a store stands: what commissioning found of it, whether that still holds, and how long certificates last.

Rules: nothing is asked of any store here; what is known comes from the record beside the ledger, from how the store
presented itself with its last answer, and from our own certificate's file. All of it is looked at anew each time, so
that neither a new probe nor a renewed certificate needs a restart. Methods block on small local files.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from cryptography import x509

from agent.core.commissioning import Certificate, Commissioning, copies_out_of_reach, why_outdated
from agent.core.object import ReceiptKind
from agent.core.renewal_policy import Ending, Step, Subject, ending_words, step_of
from agent.ports import Clock
from agent.stores.probe_record import read_record
from agent.stores.sighting import Sighting, pem_certificate

MAX_CERTIFICATE_BYTES = 1 << 20
_WHAT = {
    Subject.STORE: ("The certificate of store {store}", "Have it renewed at the store."),
    Subject.STATION: ("This station's certificate for store {store}", "It lies in {file}: `dock-agent renew {store}`."),
    Subject.CA: (
        "The last authority in the `ca` of store {store}",
        "Put the new one into that file beside the old one; no restart.",
    ),
}
"""What ends, and what to do about it."""
_READ_BACK = "Until then each object is read back: that proves more, and costs the way back."


@dataclass(slots=True)
class Told:
    """What people should know: `problems` need somebody this week, `notices` are worth knowing."""

    problems: list[str] = field(default_factory=list)
    notices: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Standing:
    """One configured store. `record` is where its commissioning would lie; None: nobody keeps one."""

    store: str
    place: str
    require: ReceiptKind
    clock: Clock
    record: Path | None = None
    client_cert: Path | None = None
    sighting: Sighting = field(default_factory=Sighting)
    ca: Path | None = None
    passed: datetime | None = None  # a moment that has certainly passed, for a clock that is behind

    def found(self) -> Commissioning | None:
        """The last commissioning, whether it still holds or not."""
        return None if self.record is None else read_record(self.record)

    def gives_checksums(self) -> bool:
        """Whether a checksum that the store names counts as a receipt.

        It was seen to refuse wrong ones, and it is the same store to all appearances.
        """
        found = self.found()
        return found is not None and self._outdated(found) is None and ReceiptKind.CHECKSUM in found.kinds

    def still_gives_checksums(self) -> bool:
        """Whether one that counted when it was given still does: the last probe of this URL did not disprove it.

        A renewed certificate, or a newer server, makes no earlier receipt untrue.
        """
        found = self.found()
        return found is not None and found.place == self.place and ReceiptKind.CHECKSUM in found.kinds

    def told(self) -> Told:
        """What people should know of this store."""
        told = Told()
        told.notices += self._about_probes()
        for ending in self.endings():
            self._tell(told, ending)
        return told

    def endings(self) -> list[Ending]:
        """When each certificate ends, the store's as it was seen last, our own, and those of `ca` as they are now.

        Of several authorities the one that ends last counts: before that, one of them still holds.
        """
        shown, now = self._certificate(), self.clock()
        ends = {
            Subject.STORE: None if shown is None else shown.ends,
            Subject.STATION: None if self.client_cert is None else _read(self.client_cert),
            Subject.CA: None if self.ca is None else _last_of(self.ca),
        }
        return [
            Ending(self.store, subject, end, step_of(end, now, self.passed))
            for subject, end in ends.items()
            if end is not None
        ]

    def _tell(self, told: Told, ending: Ending) -> None:
        words = ending_words(ending.ends, self.clock(), self.passed)
        if words is None:
            return
        what, hint = (text.format(store=self.store, file=self.client_cert) for text in _WHAT[ending.subject])
        text = f"{what} {words}. {hint} Without a valid one nothing is uploaded; offloading goes on."
        if ending.step >= Step.LAST_DAY:
            told.problems.insert(0, f"URGENT: {text}")
        else:
            (told.problems if ending.step is Step.PRESSING else told.notices).append(text)

    def _outdated(self, found: Commissioning) -> str | None:
        return why_outdated(found, self.place, self.sighting.last)

    def _about_probes(self) -> list[str]:
        if self.record is None:
            return []
        found, run = self.found(), f"run `dock-agent doctor store {self.store}`."
        by_checksum = self.require is ReceiptKind.CHECKSUM
        if found is None:
            return [f"Store {self.store} was never probed: {run}{f' {_READ_BACK}' if by_checksum else ''}"]
        why = self._outdated(found)
        if why is not None:
            told = f"Store {self.store} was probed, but {why}: {run}"
            return [f"{told} {_READ_BACK}" if by_checksum else told]
        if not found.meets(self.require):
            can = ", ".join(kind.word for kind in sorted(found.kinds, reverse=True)) or "nothing"
            told = (
                f'Store {self.store} cannot confirm: require = "{self.require.word}", but it was found to give {can}.'
            )
            return [f"{told} Change one or the other, then {run}"]
        if by_checksum and ReceiptKind.CHECKSUM not in found.kinds:
            told = f"Store {self.store} was found to take wrong checksums, or to name none"
            return [f"{told}: each object is read back instead."]
        return []

    def _certificate(self) -> Certificate | None:
        """The store's certificate as it was seen last, since the start or by the last probe."""
        if self.sighting.last is not None:
            return self.sighting.last.certificate
        found = self.found()
        return found.seen.certificate if found is not None and found.place == self.place else None


def endings_of(standings: Sequence[Standing]) -> list[Ending]:
    """When the certificates of all stores end. Blocks on small files."""
    return [ending for standing in standings for ending in standing.endings()]


def told_of(standings: Sequence[Standing], copies: int, *, beside: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """What people should know of all stores together: problems and notices. `copies` are those of `[confirm]`.

    `beside`: problems of something else, which come first.
    """
    problems = list(beside)
    notices: list[str] = []
    for standing in standings:
        told = standing.told()
        problems += told.problems
        notices += told.notices
    records = {s.store: found for s in standings if (found := s.found()) is not None and found.place == s.place}
    never = copies_out_of_reach(copies, {s.store: s.require for s in standings}, records)
    if never:
        notices.append(
            f"Nothing can ever be confirmed: [confirm] copies = {copies}, but probing found that what is required of"
            f" {', '.join(never)} cannot be had there."
        )
    return problems, notices


def _read(path: Path) -> datetime | None:
    """When the certificate in a PEM file ends; None when it cannot be read now."""
    try:
        with path.open("rb") as file:
            return pem_certificate(file.read(MAX_CERTIFICATE_BYTES)).ends
    except (OSError, ValueError):
        return None


def _last_of(path: Path) -> datetime | None:
    """When the last of the authorities in a PEM file ends; None when they cannot be read now."""
    try:
        with path.open("rb") as file:
            found = x509.load_pem_x509_certificates(file.read(MAX_CERTIFICATE_BYTES))
        return max((each.not_valid_after_utc for each in found), default=None)
    except (OSError, ValueError):
        return None
