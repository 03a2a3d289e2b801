"""A rack of simulated bays: directories into which camera directories are moved to dock them."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agent.simulate.cards import CardTruth, build_card

SCRIPT = ".camera.json"


@dataclass(slots=True)
class SimulatedCamera:
    """A camera directory: its card, its script, and what it recorded."""

    home: Path
    truth: CardTruth
    bay: Path | None = None

    @property
    def place(self) -> Path:
        """Where the camera is now."""
        return self.bay or self.home

    @property
    def card(self) -> Path:
        """The root of its medium."""
        return self.place / "card"

    def script(self, **changes: Any) -> None:  # noqa: ANN401 - JSON values
        """Change what the camera does; a value of None removes the key."""
        file = self.place / SCRIPT
        current = json.loads(file.read_text("utf-8")) if file.exists() else {}
        current |= changes
        fresh = file.with_suffix(".new")
        fresh.write_text(json.dumps({k: v for k, v in current.items() if v is not None}), "utf-8")
        fresh.rename(file)

    def dock(self, bay: Path) -> None:
        """Move the camera into an empty bay."""
        self.place.rename(bay)
        self.bay = bay

    def undock(self) -> None:
        """Pull the camera out, whatever it is doing."""
        self.place.rename(self.home)
        self.bay = None


def make_camera(shelf: Path, kind: str, *, serial: str, seed: int, clips: int, clip_bytes: int) -> SimulatedCamera:
    """Build a camera with a card of this kind on the shelf."""
    home = shelf / serial
    (home / "card").mkdir(parents=True)
    truth = build_card(home / "card", kind, serial=serial, seed=seed, clips=clips, clip_bytes=clip_bytes)
    camera = SimulatedCamera(home, truth)
    camera.script(serial=serial, model=f"simulated {kind}", firmware="1.0", battery_percent=80)
    return camera
