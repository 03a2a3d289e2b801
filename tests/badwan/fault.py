"""What happens to a connection at an exact byte of one direction."""

from dataclasses import dataclass
from enum import StrEnum

from tests.badwan.shape import Way


class Ending(StrEnum):
    """How a connection ends: as if one side had crashed, or in good order."""

    RESET = "reset"
    FIN = "fin"


class Kind(StrEnum):
    CUT = "cut"
    STALL = "stall"
    BLACK_HOLE = "black_hole"
    CORRUPT = "corrupt"


@dataclass(slots=True, eq=False)
class Fault:
    """Strikes once `at` bytes of `way` have arrived on a connection; `corrupt` alters the byte that comes then.

    It strikes the first connection that gets there, with `every` each of them.
    """

    kind: Kind
    at: int
    way: Way = Way.UP
    every: bool = False
    ending: Ending = Ending.RESET  # of a cut
    for_s: float | None = None  # of a stall; None: until `resume`
    struck: int = 0

    def concerns(self, way: Way, start: int, end: int) -> bool:
        """Whether it is due between these bytes of a direction, and not used up."""
        return self.way is way and start <= self.at < end and (self.every or not self.struck)
