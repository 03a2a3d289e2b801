"""What all connections of a line share: its shape each way, its faults, its buckets and its tally."""

from dataclasses import dataclass, field

from tests.badwan.bucket import Bucket
from tests.badwan.fault import Fault
from tests.badwan.shape import Shape, Way
from tests.badwan.tally import Tally


@dataclass(slots=True)
class Conditions:
    """Everything may be changed while the line is in use."""

    shapes: dict[Way, Shape] = field(default_factory=lambda: {way: Shape() for way in Way})
    faults: list[Fault] = field(default_factory=list)
    buckets: dict[Way, Bucket] = field(default_factory=lambda: {way: Bucket() for way in Way})
    tally: Tally = field(default_factory=Tally)
