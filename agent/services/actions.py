"""What a person may ask of the station, each with who and why, each recorded as a custody event."""

from typing import TYPE_CHECKING

from agent.core.clip import BayName, CameraId
from agent.core.errors import ActionRefused, IllegalMove
from agent.ledger import clips, doubts, fleet
from agent.ports import JsonObject
from agent.services.ask import Request
from agent.services.drain import Drain
from agent.services.kit import Kit
from agent.services.queue_actions import QueueActions
from agent.services.snapshot import Snapshots
from agent.services.station import WINDOW_GRACE_S, Station
from agent.services.uploader import Uploader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

ACCEPTED = "The ledger is taken over as it is; that is recorded. Cameras may be cleared again."


class Actions:
    """Carries requests out."""

    def __init__(
        self, kit: Kit, station: Station, uploader: Uploader, bay_names: "Callable[[], list[str]]", drain: Drain
    ) -> None:
        """Act on these; `bay_names` are those that are configured."""
        self._kit, self._station, self._bay_names = kit, station, bay_names
        self._verbs: dict[str, Callable[[Request], Awaitable[str]]] = {
            "seize": self._seize,
            "release": self._release,
            "claim": self._claim,
            "urgent-release": self._urgent_release,
            "hold": self._hold,
            "unhold": self._unhold,
            "accept-ledger": self._accept_ledger,
            **QueueActions(kit, uploader).verbs,
            **drain.verbs,
            "snapshot": Snapshots(kit).take,
        }

    async def act(self, action: str, body: JsonObject) -> JsonObject:
        """Do it; returns `{"done": text}`. Raises ActionRefused."""
        verb = self._verbs.get(action)
        if verb is None:
            raise ActionRefused(f"There is no action {action!r}; known are: {', '.join(self._verbs)}.")
        request = Request.checked(body)
        try:
            done = await verb(request)
        except IllegalMove as error:
            of_its_own = error.hint != IllegalMove.hint  # the class's is for who looks after the ledger
            raise ActionRefused(str(error), hint=error.hint if of_its_own else "") from error
        self._kit.ring()
        return {"done": done}

    async def _seize(self, request: Request) -> str:
        camera = CameraId(request.text("camera"))
        await self._kit.ledger(lambda tx, rec: fleet.seize(tx, rec, camera, request.actor, request.reason))
        await self._refresh(camera)
        known = await self._kit.ledger(lambda tx, _: fleet.docked_before(tx, camera))
        unseen = "" if known else " It was never docked here: is the serial right?"
        return f"Camera {camera} is seized: it will never be wiped, flashed, clock-set or power-cycled.{unseen}"

    async def _release(self, request: Request) -> str:
        camera = CameraId(request.text("camera"))
        await self._kit.ledger(lambda tx, rec: fleet.release(tx, rec, camera, request.actor, request.reason))
        await self._refresh(camera)
        return f"Camera {camera} is no longer seized."

    async def _claim(self, request: Request) -> str:
        camera = CameraId(request.text("camera"))
        await self._kit.ledger(lambda tx, rec: fleet.claim(tx, rec, camera, request.actor))
        await self._refresh(camera)
        return f"Camera {camera} is claimed by {request.actor}."

    async def _refresh(self, camera: CameraId) -> None:
        for slot in self._station.docked_as(camera):
            # A window that was open before the decision ends first: when this returns, nothing is written any more.
            if not await slot.session.interlock.safe_point(WINDOW_GRACE_S):
                text = f"It is recorded, but an unlink on camera {camera} that had begun has not come back yet."
                raise ActionRefused(text, hint="Nothing further is unlinked. Take the camera out and ask again.")
            await slot.session.refresh()

    async def _urgent_release(self, request: Request) -> str:
        bay = BayName(request.text("bay"))
        fields = {"bay": bay, "actor": request.actor, "reason": request.reason}
        slot = self._station.slots.get(bay)
        if slot is None:
            known = self._bay_names()
            if bay not in known:
                raise ActionRefused(f"There is no bay {bay}. Known bays: {', '.join(known) or 'none'}.")
            raise ActionRefused(f"Bay {bay} is empty.")
        camera = slot.session.standing.camera
        await self._kit.ledger(lambda tx, rec: rec.record(tx, "camera.release_asked", dict(fields), camera=camera))
        await self._station.release(slot)
        advice = slot.advice()
        return f"Bay {bay}: {advice.advice.value} ({advice.reason})."

    async def _hold(self, request: Request) -> str:
        wanted, note = request.text("clip"), request.note
        held = await self._kit.ledger(lambda tx, rec: clips.hold(tx, rec, clips.named(tx, wanted), note))
        await self._refresh(held.camera)
        return f"Clip {held.id} is on hold: no copy of it is destroyed here."

    async def _unhold(self, request: Request) -> str:
        wanted, note = request.text("clip"), request.note
        freed = await self._kit.ledger(lambda tx, rec: clips.unhold(tx, rec, clips.named(tx, wanted), note))
        return f"Clip {freed.id} is no longer on hold."

    async def _accept_ledger(self, request: Request) -> str:
        await self._kit.ledger(lambda tx, rec: doubts.accept(tx, rec, request.actor, request.reason))
        return ACCEPTED
