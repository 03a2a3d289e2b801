"""A camera that shows its medium as a USB disk: a volume that the helper mounts, and mounts anew for each window.

Rules: the same as for a folder. Between two mounts of one volume nothing of this machine can write to it, because a
mount claims its disk; and the helper mounts again only the very disk that it mounted before.
"""

import os

from agent.devices.drivers.driver import DriverError
from agent.devices.drivers.folder import FolderDriver, file_system_of
from agent.devices.drivers.medium import Medium

_NUMBERED_BY_THE_MOUNT = frozenset({"vfat", "exfat", "msdos"})
"""File systems without inodes: the kernel makes up numbers, and other ones each time it mounts."""


class Card(Medium):
    """The root of a mounted volume."""

    lasting_inodes = True

    def mark_of(self, facts: os.stat_result) -> str:
        """Tell a file from any other, also after the volume was mounted anew.

        Where inode numbers do not last, size and mtime have to do, together with the name under which it is opened.
        """
        if self.lasting_inodes:
            return super().mark_of(facts)
        return f"{facts.st_dev}:{facts.st_size}:{facts.st_mtime_ns}"


class MassStorageDriver(FolderDriver):
    """Implements `driver.Driver` for a mounted volume."""

    def open_medium(self) -> Medium:
        """Open the root of the mount. Raises DriverError, also when nothing is mounted there."""
        card = Card(self._address)
        if os.stat(os.path.dirname(self._address)).st_dev == card.device:  # noqa: PTH116, PTH120 - no pathlib here
            card.close()
            raise DriverError("gone", "nothing is mounted there")
        card.lasting_inodes = file_system_of(card) not in _NUMBERED_BY_THE_MOUNT
        return card
