"""How large the parts of an object are on its way to one S3 store, by what its line was seen to carry.

A part costs a request, and what of it has left is lost when the line is cut. So a part is as long as the line makes it:
about a second or two. All parts of an object but the last have one size, which some stores ask for.
"""

from agent.core.patch_policy import smoothed

PART_BYTES = 8 << 20
"""The least, and the size while nothing was measured."""
MOST_BYTES = 32 << 20
"""The most, unless there would be too many: what is lost by a cut stays bounded on any line."""
PART_S = 2.0
MOST_PARTS = 9_000
"""Stores take 10,000. Source: Amazon S3 limits for multipart uploads."""


class PartSizes:
    """The sizes at one store. On the loop's thread only; a restart forgets what was measured."""

    def __init__(self, fixed_bytes: int | None = None) -> None:
        """`fixed_bytes`: this size, whatever is measured, as long as there are few enough."""
        self._least_bytes = fixed_bytes or PART_BYTES
        self._most_bytes = fixed_bytes or MOST_BYTES
        self.rate_bytes_s: float | None = None

    def of(self, size_bytes: int) -> int:
        """The size of all parts of an object but the last, which may be smaller: the least, doubled as fits."""
        wanted = min((self.rate_bytes_s or 0.0) * PART_S, float(self._most_bytes))
        part_bytes = self._least_bytes
        while part_bytes * 2 <= wanted or size_bytes > part_bytes * MOST_PARTS:
            part_bytes *= 2
        return part_bytes

    def may_be(self, part_bytes: int, size_bytes: int) -> bool:
        """Whether an object may have been begun in parts of this size, at any rate."""
        return part_bytes in self._sizes(size_bytes)

    def counted(self, size_bytes: int, count: int) -> int | None:
        """The size by which an object has so many parts; None when none of ours makes so many."""
        return next((size for size in self._sizes(size_bytes) if -(-size_bytes // size) == count), None)

    def arrived(self, sent_bytes: int, took_s: float) -> None:
        """So many bytes arrived, from the first that left to the store's answer."""
        self.rate_bytes_s = smoothed(self.rate_bytes_s, sent_bytes, took_s)

    def refused(self, part_bytes: int) -> None:
        """The store, or a proxy, refused a body for its size: no such one is sent again, unless it is the least."""
        self._most_bytes = max(self._least_bytes, min(self._most_bytes, part_bytes // 2))

    def _sizes(self, size_bytes: int) -> list[int]:
        sizes, part_bytes = list[int](), self._least_bytes
        while not sizes or part_bytes <= self._most_bytes:
            if size_bytes <= part_bytes * MOST_PARTS:
                sizes.append(part_bytes)
            part_bytes *= 2
        return sizes
