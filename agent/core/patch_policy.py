"""How much of an object one PATCH of tus carries, and whether an upload that will expire is worth going on with.

Rules: pure. A PATCH takes about as long on any line: long enough that the round trip between two of them costs nothing,
short enough that little is lost at a store that keeps nothing of one that was cut. It ends at a multiple of 16 MiB, so
that a store which makes parts of it has whole ones (tus stores on S3 use parts of 5 to 16 MiB and copy what is left
over). Sizes are in bytes, times in seconds.
"""

STEP_BYTES = 16 << 20
"""The least, too, where nothing speaks for less."""
CHECKED_BYTES = 8 << 20
"""The most with a checksum: such a PATCH is lost whole when it is cut, and read twice, which should be from memory."""
TELLING_BYTES = 1 << 20
"""Less than this says little about a line: round trips outweigh it."""
MOST_BYTES = 512 << 20
PATCH_S = 25.0
LEAST_LOSSY_BYTES = 256 << 10
"""What a PATCH may shrink to at a store that loses cut ones, or takes no larger ones."""


def smoothed(rate_bytes_s: float | None, sent_bytes: int, took_s: float) -> float | None:
    """The rate of a line after so many bytes took so long, from the rate before, None if there was none."""
    if sent_bytes < TELLING_BYTES or took_s <= 0:
        return rate_bytes_s
    rate = sent_bytes / took_s
    return rate if rate_bytes_s is None else (rate_bytes_s + rate) / 2


def patch_size(rate_bytes_s: float | None) -> int:
    """So many bytes take about 25 s at the measured rate; the least while nothing was measured."""
    if rate_bytes_s is None:
        return STEP_BYTES
    wanted = min(rate_bytes_s * PATCH_S, float(MOST_BYTES))
    return max(STEP_BYTES, int(wanted) // STEP_BYTES * STEP_BYTES)


def patch_end(offset: int, size_bytes: int, patch_bytes: int) -> int:
    """Where a PATCH from `offset` ends: at the object's end, or where the next one begins at a whole step."""
    end = offset + patch_bytes
    if end >= size_bytes:
        return size_bytes
    aligned = end - end % STEP_BYTES
    # What a cut left at an odd place is made good by one PATCH that is a little shorter.
    return aligned if patch_bytes % STEP_BYTES == 0 and aligned > offset else end


def after_loss(lost_bytes: int) -> int:
    """The most that a PATCH may carry after a store kept nothing of one that got this far: half of it."""
    size = LEAST_LOSSY_BYTES
    while size * 2 <= min(lost_bytes // 2, STEP_BYTES):
        size *= 2
    return size


def after_refusal(refused_bytes: int) -> int | None:
    """The most that a PATCH may carry after one of this size was too large (413); None when no smaller one is tried.

    Proxies bound what they let through: 1 MB is usual, 100 MB elsewhere.
    """
    size = LEAST_LOSSY_BYTES
    while size * 2 < refused_bytes:
        size *= 2
    return size if size < refused_bytes else None


def is_worth_going_on(left_bytes: int, rate_bytes_s: float | None, life_s: float | None, new_life_s: float) -> bool:
    """Whether an upload should be gone on with that its store forgets in `life_s`; None: never.

    Only one that cannot be finished in time is begun anew, and only where a new one can be: it would live for
    `new_life_s`, and there is nothing to win if that is no longer than what is left of the old one.
    """
    if life_s is None or rate_bytes_s is None or rate_bytes_s <= 0:
        return True
    return left_bytes / rate_bytes_s <= life_s or new_life_s <= life_s
