"""Picks from a kernel's modules those that the guest needs, with everything that they depend on."""

import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

ROOT_DISK = ("virtio_pci", "virtio_blk", "ext4", "crc32c_generic", "overlay")
"""Enough to reach the root file system."""

GUEST = (
    *ROOT_DISK,
    *("virtio_net", "virtio_console", "virtio_rng", "af_packet"),
    *("xhci_pci", "usb_storage", "uas", "sd_mod", "sg", "usbhid", "hid_generic", "evdev"),
    *("vfat", "exfat", "nls_cp437", "nls_ascii", "nls_utf8", "nls_iso8859_1"),
    *("autofs4", "configfs", "fuse", "loop"),
)
"""What the guest has: its devices, USB storage in both kinds, the cameras' file systems, what systemd likes."""

LOADED = (
    *("usb-storage", "uas", "sd_mod", "sg", "usbhid", "hid-generic"),
    *("vfat", "exfat", "nls_cp437", "nls_ascii", "nls_utf8", "nls_iso8859_1"),
)
"""What is loaded before a state is saved, so that no test waits for it."""


def _name(path: str) -> str:
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


class Kernel:
    """The modules of one unpacked kernel."""

    def __init__(self, root: Path, version: str) -> None:
        """`root`: where the kernel's package was unpacked; depmod must have run there."""
        self.version = version
        self._folder = root / "lib/modules" / version
        self._needs: dict[str, list[str]] = {}
        self._paths: dict[str, str] = {}
        for line in self._lines("modules.dep"):
            path, _, needs = line.partition(":")
            self._paths[_name(path)] = path
            self._needs[_name(path)] = [_name(need) for need in needs.split()]
        for words in map(str.split, self._lines("modules.softdep")):
            if words[:1] == ["softdep"]:
                self._needs.setdefault(_name(words[1]), []).extend(_name(w) for w in words[2:] if w[-1] != ":")
        self._built_in = {_name(line) for line in self._lines("modules.builtin")}

    def _lines(self, name: str) -> list[str]:
        return (self._folder / name).read_text("utf-8").splitlines()

    def closure(self, names: Iterable[str]) -> set[str]:
        """The paths of these modules and of all that they need. Raises LookupError when the kernel lacks one."""
        names = [_name(name) for name in names]
        missing = [name for name in names if name not in self._paths and name not in self._built_in]
        if missing:
            raise LookupError(f"kernel {self.version} has no module {', '.join(missing)}; name others in modules.py")
        found: set[str] = set()
        left = list(names)
        while left:
            name = left.pop()
            path = self._paths.get(name)  # a soft dependency may not exist at all
            if path is not None and path not in found:
                found.add(path)
                left += self._needs.get(name, [])
        return found

    def copy(self, names: Iterable[str], root: Path) -> None:
        """Copy these modules and what they need below `root`, ready for modprobe."""
        target = root / "lib/modules" / self.version
        for path in self.closure(names):
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(self._folder / path, target / path)
        for name in ("modules.order", "modules.builtin", "modules.builtin.modinfo"):
            shutil.copy2(self._folder / name, target / name)
        subprocess.run(["depmod", "-b", root, self.version], check=True)  # noqa: S603, S607 - our own words
