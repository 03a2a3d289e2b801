"""What is mounted where a directory store should be: a file system, by the number that the kernel gave it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from agent.files.kernel import file_system_of
from agent.stores.block_device import shares_disk

NETWORK_FILE_SYSTEMS = frozenset({"nfs", "cifs", "smb", "smb2"})
"""On these a directory lies on another machine, and what was synced is as safe as that machine makes it."""


@dataclass(frozen=True, slots=True)
class Mount:
    """The file system at a directory: its device number and its kind, such as "nfs"."""

    device: int
    system: str

    @classmethod
    def at(cls, root: Path) -> Self:
        """Look what is there now. Blocks. Raises OSError."""
        file_system_of(root)  # what is mounted on demand is mounted by this question, and not by the next one
        return cls(root.stat().st_dev, file_system_of(root))

    def is_elsewhere(self, root: Path, spool_dir: Path) -> bool:
        """Whether this lies on another machine than the spool, and is still there. Blocks.

        An unmounted mount point does not: nothing speaks for it.
        """
        try:
            return self.system in NETWORK_FILE_SYSTEMS and not shares_disk(root, spool_dir) and Mount.at(root) == self
        except OSError:
            return False
