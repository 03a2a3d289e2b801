"""SHA-256 of a stream, reckoned beside the caller's own work on the same blocks.

Hashing and writing take about the same time. In one thread they add up; side by side they use two cores.
"""

import hashlib
from queue import SimpleQueue
from threading import Thread

WORTH_BYTES = 128 << 10
"""Handing a block to another thread costs about as much as hashing this many bytes."""


class SideHash:
    """Hashes large blocks in a thread of its own, started by the first of them, small ones at once.

    One caller; `close` ends the thread. Blocks are hashed in the order in which they are given.
    """

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._hash = hashlib.sha256()
        self._given: SimpleQueue[memoryview | None] = SimpleQueue()
        self._taken: SimpleQueue[Exception | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._busy = False

    def update(self, block: memoryview) -> None:
        """Take a block, which must stay as it is until the next call of `update` or `hexdigest` has returned.

        So two buffers in turn are enough: one is filled while the other is hashed.
        """
        self._settle()
        if len(block) < WORTH_BYTES:
            self._hash.update(block)
            return
        if self._thread is None:
            self._thread = Thread(target=self._work, name="hash", daemon=True)
            self._thread.start()
        self._busy = True
        self._given.put(block)

    def update_here(self, block: memoryview) -> None:
        """Take a block and hash it at once, in the caller's thread: that spends the least of the processor."""
        self._settle()
        self._hash.update(block)

    def fork(self) -> "SideHash":
        """Another one that goes on from here by itself."""
        self._settle()
        other = SideHash()
        other._hash = self._hash.copy()
        return other

    def hexdigest(self) -> str:
        """Wait for what is still being hashed; 64 lower-case hex digits of everything given."""
        self._settle()
        return self._hash.hexdigest()

    def close(self) -> None:
        """End the thread; idempotent. A block that is being hashed is finished first."""
        if self._thread is not None:
            self._thread = None
            self._given.put(None)

    def _settle(self) -> None:
        if self._busy:
            error = self._taken.get()
            self._busy = False
            if error is not None:
                raise error

    def _work(self) -> None:
        while (block := self._given.get()) is not None:
            error: Exception | None = None
            try:
                self._hash.update(block)
            except Exception as failure:  # noqa: BLE001 - raised again by the caller, who would wait for ever otherwise
                error = failure
            self._taken.put(error)
