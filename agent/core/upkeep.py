"""What may be done with a docked camera besides reading it, as its profile says."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Upkeep:
    """What else may be done with a docked camera; the defaults allow nothing."""

    may_set_clock: bool = False
    battery_path: bytes | None = None
    firmware_version_path: bytes | None = None
    firmware_delivery: str = "none"
    may_cut_power: bool = False
    power_owner: str = "station"

    @property
    def paths(self) -> tuple[bytes | None, ...]:
        """The camera's files that tell about the camera itself."""
        return self.battery_path, self.firmware_version_path


NO_UPKEEP = Upkeep()
