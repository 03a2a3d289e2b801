"""How many bytes are handled at once on their way to a store's socket.

Rules: pure. Each piece costs about a tenth of a millisecond of Python, whose own memory the bytes have driven out of
the processor's cache meanwhile, and a wake-up or two; so a fast line gets larger ones. On a slow line they stay small:
what the kernel holds is shown as sent, and over TLS a piece counts as progress only when all of it was taken. Buffers
on the way are fast on any line, and stores take bytes in gulps: what counts is how long several MiB took.
"""

from dataclasses import dataclass

SMALL_BYTES = 256 << 10
LARGE_BYTES = 1 << 20
WINDOW_BYTES = 8 << 20
"""More than lies in buffers on the way, and than a store takes in one gulp."""
FAST_BYTES_S = 40_000_000
"""What the kernel holds unsent is gone in a twentieth of a second then."""


_LEAST_S = 1e-6
GIGABIT_BYTES_S = 128_000_000
"""A little more than a line of 1 Gbit/s carries."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """How large the next piece is: the rate of the last window, 0 where it was slow, and what was seen since."""

    rate_bytes_s: float = 0.0
    seen_bytes: int = 0
    took_s: float = 0.0

    def after(self, sent_bytes: int, took_s: float) -> "Pieces":
        """Return what holds after a piece that took so long in all, from the disk to the socket."""
        seen_bytes, all_s = self.seen_bytes + sent_bytes, self.took_s + took_s
        if all_s * FAST_BYTES_S >= WINDOW_BYTES:  # whatever follows
            return Pieces()
        if seen_bytes >= WINDOW_BYTES:
            return Pieces(seen_bytes / max(all_s, _LEAST_S))
        return Pieces(self.rate_bytes_s, seen_bytes, all_s)

    @property
    def are_large(self) -> bool:
        """Whether the last window was fast, and what came since may still be."""
        return self.rate_bytes_s > 0

    @property
    def outrun_one_thread(self) -> bool:
        """Whether they leave so fast that one thread, which hashes and encrypts in turn, holds the line up."""
        return self.rate_bytes_s > GIGABIT_BYTES_S

    @property
    def size_bytes(self) -> int:
        """The most that the next piece has."""
        return LARGE_BYTES if self.are_large else SMALL_BYTES

    @property
    def unsent_bytes(self) -> int:
        """The most that the kernel may hold unsent.

        A waiting sender is woken when half of it has left: with room for one large piece it would wait for each.
        """
        return 2 * LARGE_BYTES if self.are_large else SMALL_BYTES
