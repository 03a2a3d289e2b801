"""Which driver goes by which name. A driver is imported only when a camera needs it."""

from importlib import import_module
from typing import cast

from agent.devices.drivers.driver import Driver, DriverError

DRIVERS = {
    "folder": ("agent.devices.drivers.folder", "FolderDriver"),
    "mass_storage": ("agent.devices.drivers.mass_storage", "MassStorageDriver"),
    "mtp": ("agent.devices.drivers.mtp", "MtpDriver"),
    "simulated": ("agent.devices.drivers.simulated", "SimulatedDriver"),
    "switch": ("agent.devices.drivers.switch", "SwitchDriver"),
}


def open_driver(name: str, address: bytes) -> Driver:
    """Open the camera at `address`. Raises DriverError, also for a name that no driver has."""
    try:
        module, kind = DRIVERS[name]
    except KeyError:
        raise DriverError("failed", "no such driver") from None
    return cast("Driver", getattr(import_module(module), kind)(address))
