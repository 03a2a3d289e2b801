"""What was learned about one tus store by sending to it: how fast, how it takes a cut, whether bytes were altered.

Rules: on the loop's thread only. A restart forgets it, which costs a few small PATCHes.
"""

from dataclasses import dataclass, field

from agent.core.patch_policy import (
    STEP_BYTES,
    TELLING_BYTES,
    after_loss,
    after_refusal,
    patch_end,
    patch_size,
    smoothed,
)

PROOFS = 8
"""So many PATCHes in a row must arrive before larger ones are tried again."""
MOST_CUTS = 256
EXPIRY_STEP_S = 2.0
"""Expiry is written in whole seconds; sooner, one that was put off could look the same."""


@dataclass(slots=True)
class Pace:
    """`fixed_bytes`: every PATCH has this size, whatever is measured. `signed`: the store signs what it holds."""

    fixed_bytes: int | None = None
    signed: bool = False
    rate_bytes_s: float | None = None  # of one upload, others beside it
    altered: bool = False
    extends: bool | None = None  # whether each PATCH puts an upload's expiry off; None: not known
    _most_bytes: int | None = None  # None: the store is not known to lose anything
    _taken_bytes: int | None = None  # None: nothing was too large for the store yet
    _arrived: int = 0
    _cuts: dict[str, tuple[int, int]] = field(default_factory=dict)
    _expiry: tuple[str, str, float] = ("", "", 0.0)  # of which upload, as the store wrote it, seen when

    @property
    def loses_cuts(self) -> bool:
        """Whether the store was seen to keep nothing of a PATCH that was cut."""
        return self._most_bytes is not None

    @property
    def wants_checksum(self) -> bool:
        """Whether each PATCH should carry its digest, where the store can compare it.

        A PATCH with a digest is lost whole when it is cut. A store that signs names the digest of everything at its
        end, so there it is worth that only once something went wrong, or where a cut costs as much anyway.
        """
        return not self.signed or self.altered or self.loses_cuts

    def end(self, offset: int, size_bytes: int, most_bytes: int | None) -> int:
        """Where the PATCH from `offset` ends; it carries at most `most_bytes`."""
        patch_bytes = self.fixed_bytes or patch_size(self.rate_bytes_s)
        for bound in (self._most_bytes, self._taken_bytes, most_bytes):
            patch_bytes = min(patch_bytes, bound or patch_bytes)
        return patch_end(offset, size_bytes, patch_bytes)

    def arrived(self, sent_bytes: int, took_s: float) -> None:
        """A PATCH arrived whole."""
        self.rate_bytes_s = smoothed(self.rate_bytes_s, sent_bytes, took_s)
        self._arrived += 1
        if self._most_bytes is not None and self._arrived >= PROOFS:
            larger = self._most_bytes * 2
            self._most_bytes, self._arrived = (larger if larger <= STEP_BYTES else None), 0

    def was_too_large(self, size_bytes: int) -> bool:
        """The store, or a proxy, refused a PATCH for its size; whether smaller ones are worth a try."""
        smaller = after_refusal(size_bytes)
        if smaller is None:
            self._taken_bytes = STEP_BYTES  # it was never about size: a quota, a full disk
        else:
            self._taken_bytes = min(smaller, self._taken_bytes or smaller)
        return smaller is not None

    def was_cut(self, url: str, start: int, handed: int) -> None:
        """A PATCH to `url` was cut after the bytes from `start` to `handed` had been given away."""
        self._arrived = 0
        self._cuts[url] = (start, handed)
        while len(self._cuts) > MOST_CUTS:
            del self._cuts[next(iter(self._cuts))]

    def stands(self, url: str, offset: int) -> None:
        """The store was asked where the upload stands."""
        start, handed = self._cuts.pop(url, (offset, offset))
        lost_bytes = handed - start
        if offset <= start and lost_bytes >= TELLING_BYTES:
            self._most_bytes = min(after_loss(lost_bytes), self._most_bytes or STEP_BYTES)

    def saw_expiry(self, url: str, text: str | None, now_s: float) -> None:
        """The store answered a PATCH at `now_s` of any steady clock, saying when it forgets the upload."""
        if text is None:
            return
        last_url, last_text, last_s = self._expiry
        if url == last_url and now_s - last_s < EXPIRY_STEP_S:
            return
        if url == last_url:
            self.extends = text != last_text
        self._expiry = (url, text, now_s)
