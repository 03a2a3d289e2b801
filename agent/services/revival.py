"""Frees a camera that has stopped answering: its port loses power for a moment.

A reader that waits for a dead camera cannot even be killed before that. The camera comes back as a new docking, for
which the bay keeps its strikes. One that comes back locked is a new docking once more when it was unlocked; so cuts
are counted by the bay.
"""

import time
from collections import defaultdict
from collections.abc import Callable

from agent.core.clip import BayName, CameraId
from agent.core.disposal_policy import Refuse
from agent.core.power_policy import REFUSALS, PowerFacts, may_cut_power
from agent.core.profile import IdentitySource, for_usb
from agent.ledger import fleet
from agent.ledger.custody import Recorder
from agent.ledger.database import Tx
from agent.ports import PortPower
from agent.services.kit import Kit
from agent.services.slot import Slot

_LEFT = "it was taken out meanwhile"
CUTS = 2
CUTS_WITHIN_S = 600.0
"""A camera that hangs again after so many cuts in this time needs a person, whatever it came back as."""


class Revival:
    """Decides and switches, for all bays of a station."""

    def __init__(self, kit: Kit, power: PortPower | None) -> None:
        """Without `power` nothing can be switched."""
        self._kit = kit
        self._power = power
        self._cuts: defaultdict[BayName, list[float]] = defaultdict(list)  # when each bay's port lost power

    async def power_cycle(self, slot: Slot, is_there: Callable[[], bool]) -> str | None:
        """Cut the port's power and restore it; None when that was done, else why not, in words. Raises LedgerError.

        `is_there` tells whether that docking still lasts: the next camera in the port has done nothing.
        """
        decision = may_cut_power(await self._facts(slot))
        if isinstance(decision, Refuse):
            return REFUSALS[decision.reason]
        bay, camera = slot.docked.bay, slot.session.standing.camera
        if not is_there():
            return _LEFT
        await self._kit.ledger(lambda tx, rec: rec.record(tx, "camera.power_cut", {"bay": bay}, camera=camera))
        if not is_there():
            return _LEFT
        if self._power is None or not await self._power.cycle(bay):
            return REFUSALS["no_switch"]
        self._cuts[bay].append(time.monotonic())
        return None

    def _cuts_lately(self, bay: BayName) -> int:
        oldest = time.monotonic() - CUTS_WITHIN_S
        self._cuts[bay] = [at for at in self._cuts[bay] if at > oldest]
        return len(self._cuts[bay])

    async def _facts(self, slot: Slot) -> PowerFacts:
        docked, standing, identified = slot.docked, slot.session.standing, slot.session.identified
        profiles = (identified.profile,) if identified else for_usb(self._kit.settings.profiles, docked.usb)
        # Only where the USB serial is the camera's name does it say which camera this is before it was identified.
        by_usb = bool(profiles) and all(p.identity.source is IdentitySource.USB for p in profiles)
        names = {standing.camera, identified.serial if identified else None, docked.serial if by_usb else None} - {None}

        def ask(tx: Tx, _: Recorder) -> tuple[bool, bool, bool]:
            rows = [row for name in names if (row := fleet.camera(tx, CameraId(str(name)))) is not None]
            known = standing.camera is not None or bool(rows)
            seized = any(fleet.seizure(tx, CameraId(str(name))) is not None for name in names)
            return known, seized, fleet.any_seized(tx)

        known, seized, any_seized = await self._kit.ledger(ask)
        return PowerFacts(
            at_usb_port=docked.usb is not None,
            profile_allows=bool(profiles) and all(p.upkeep.may_cut_power for p in profiles),
            station_owns_port=all(p.upkeep.power_owner == "station" for p in profiles),
            identified=known,
            seized=seized,
            any_seized=any_seized,
            window_open=slot.session.interlock.window_open or slot.window_broken,
            cut_often=self._cuts_lately(docked.bay) >= CUTS,
        )
