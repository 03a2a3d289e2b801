"""Where a session stands, for people. Facts about clips come from the ledger."""

from dataclasses import dataclass, field

from agent.core.bay import Phase
from agent.core.clip import CameraId
from agent.ledger import doubts, fleet
from agent.ledger.database import Tx
from agent.ledger.fleet import Aboard, CameraRow
from agent.services.identity import Identified


@dataclass(slots=True)
class Standing:
    """What a session shows of itself; `camera` and what follows from it is None until the camera is identified."""

    phase: Phase = Phase.IDENTIFYING
    camera: CameraId | None = None
    profile: str | None = None
    model: str | None = None
    battery_percent: int | None = None
    row: CameraRow | None = None
    seizure: CameraRow | None = None  # of this camera, or of another that shows its serial
    ledger_damaged: bool = False
    aboard: Aboard = field(default_factory=Aboard)
    problem: str | None = None
    release_asked: bool = False

    def look(self, tx: Tx, identified: Identified) -> None:
        """Read from the ledger what the camera still holds and who may touch it."""
        self.aboard, self.row = fleet.aboard(tx, identified.camera), fleet.camera(tx, identified.camera)
        self.seizure = fleet.seizure(tx, identified.serial)
        self.ledger_damaged = doubts.DAMAGED in doubts.doubts(tx)
