"""What the helper has mounted in a bay: one small file each, so that a restart of the helper forgets nothing.

It lies where only root can write, and is gone with the mounts after a restart of the machine.
"""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.helper.sysfs import Block


@dataclass(frozen=True, slots=True)
class Volume:
    """A mounted volume and the one disk that it is on."""

    block: Block
    fs: str


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a bay; `last` is the number of the last folder that was made for a mount."""

    last: int = 0
    volume: Volume | None = None


class Memory:
    """Remembers volumes by bay."""

    def __init__(self, folder: Path) -> None:
        """Made when it is first needed."""
        self._folder = folder

    def of(self, bay: str) -> Known:
        """What is known of a bay; nothing when it was never mentioned or its file cannot be read."""
        try:
            kept = json.loads((self._folder / f"{bay}.json").read_bytes())
            volume = kept["volume"]
            if volume is not None:
                volume = Volume(Block(**volume["block"]), str(volume["fs"]))
            return Known(int(kept["last"]), volume)
        except (OSError, ValueError, TypeError, KeyError):
            return Known()

    def keep(self, bay: str, known: Known) -> None:
        """Remember from now on. Raises OSError."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        made = self._folder / f"{bay}.json.new"
        made.write_text(json.dumps(asdict(known)), "ascii")
        os.replace(made, self._folder / f"{bay}.json")  # noqa: PTH105 - the plain call: both names are ours

    def bays(self) -> list[str]:
        """Every bay of which something is known."""
        return sorted(path.stem for path in self._folder.glob("*.json"))
