"""What a person may ask of the station, each with who and why, each recorded as a custody event."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.clip import BayName, CameraId, ClipId
from agent.core.errors import ActionRefused, IllegalMove
from agent.core.object import as_digest
from agent.ledger import clips, doubts, fleet, uploads
from agent.ledger.custody import Recorder
from agent.ledger.database import Tx
from agent.ports import JsonObject
from agent.services.kit import Kit
from agent.services.station import WINDOW_GRACE_S, Station
from agent.services.uploader import Uploader

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_TEXT_CAP = 500
ACCEPTED = "The ledger is taken over as it is; that is recorded. Cameras may be cleared again."


@dataclass(frozen=True, slots=True)
class _Request:
    """A checked request."""

    actor: str
    reason: str
    body: JsonObject

    def text(self, key: str) -> str:
        """A needed text. Raises ActionRefused when it is missing or unusable."""
        value = self.body.get(key)
        if not isinstance(value, str) or not value.strip() or len(value) > _TEXT_CAP or not value.isprintable():
            raise ActionRefused(f"This needs a {key}: printable text of at most {_TEXT_CAP} characters.")
        return value.strip()


class Actions:
    """Carries requests out."""

    def __init__(self, kit: Kit, station: Station, uploader: Uploader) -> None:
        """Act on these."""
        self._kit, self._station, self._uploader = kit, station, uploader
        self._verbs: dict[str, Callable[[_Request], Awaitable[str]]] = {
            "seize": self._seize,
            "release": self._release,
            "claim": self._claim,
            "urgent-release": self._urgent_release,
            "request": self._ask_first,
            "hold": self._hold,
            "unhold": self._unhold,
            "retry": self._retry,
            "accept-ledger": self._accept_ledger,
        }

    async def act(self, action: str, body: JsonObject) -> JsonObject:
        """Do it; returns `{"done": text}`. Raises ActionRefused."""
        verb = self._verbs.get(action)
        if verb is None:
            raise ActionRefused(f"There is no action {action!r}; known are: {', '.join(self._verbs)}.")
        checked = _Request("", "", body)
        request = _Request(checked.text("actor"), checked.text("reason"), body)
        try:
            done = await verb(request)
        except IllegalMove as error:
            raise ActionRefused(str(error)) from error
        self._kit.ring()
        return {"done": done}

    async def _seize(self, request: _Request) -> str:
        camera = CameraId(request.text("camera"))
        await self._kit.ledger(lambda tx, rec: fleet.seize(tx, rec, camera, request.actor, request.reason))
        await self._refresh(camera)
        known = await self._kit.ledger(lambda tx, _: fleet.docked_before(tx, camera))
        unseen = "" if known else " It was never docked here: is the serial right?"
        return f"Camera {camera} is seized: it will never be wiped, flashed, clock-set or power-cycled.{unseen}"

    async def _release(self, request: _Request) -> str:
        camera = CameraId(request.text("camera"))
        await self._kit.ledger(lambda tx, rec: fleet.release(tx, rec, camera, request.actor, request.reason))
        await self._refresh(camera)
        return f"Camera {camera} is no longer seized."

    async def _claim(self, request: _Request) -> str:
        camera = CameraId(request.text("camera"))
        await self._kit.ledger(lambda tx, rec: fleet.claim(tx, rec, camera, request.actor))
        await self._refresh(camera)
        return f"Camera {camera} is claimed by {request.actor}."

    async def _refresh(self, camera: CameraId) -> None:
        slot = self._station.find(camera)
        if slot is not None:
            # A window that was open before the decision ends first: when this returns, nothing is written any more.
            if not await slot.session.interlock.safe_point(WINDOW_GRACE_S):
                text = f"It is recorded, but an unlink on camera {camera} that had begun has not come back yet."
                raise ActionRefused(text, hint="Nothing further is unlinked. Take the camera out and ask again.")
            await slot.session.refresh()

    async def _urgent_release(self, request: _Request) -> str:
        bay = BayName(request.text("bay"))
        fields = {"bay": bay, "actor": request.actor, "reason": request.reason}
        slot = self._station.slots.get(bay)
        if slot is None:
            raise ActionRefused(f"Bay {bay} is empty.")
        camera = slot.session.standing.camera
        await self._kit.ledger(lambda tx, rec: rec.record(tx, "camera.release_asked", dict(fields), camera=camera))
        await self._station.release(slot)
        advice = slot.advice()
        return f"Bay {bay}: {advice.advice.value} ({advice.reason})."

    async def _ask_first(self, request: _Request) -> str:
        clip = ClipId(request.text("clip"))

        def mark(tx: Tx, rec: Recorder) -> None:
            found = clips.get(tx, clip)
            fields = {"actor": request.actor, "reason": request.reason}
            rec.record(tx, "clip.requested", dict(fields), clip=clip, camera=found.camera)
            tx.conn.execute("UPDATE clips SET requested = 1 WHERE id = ?", (clip,))

        await self._kit.ledger(mark)
        return f"Clip {clip} goes before all that nobody asked for."

    async def _hold(self, request: _Request) -> str:
        clip, note = ClipId(request.text("clip")), f"{request.actor}: {request.reason}"
        held = await self._kit.ledger(lambda tx, rec: clips.hold(tx, rec, clip, note))
        await self._refresh(held.camera)
        return f"Clip {clip} is on hold: no copy of it is destroyed here."

    async def _unhold(self, request: _Request) -> str:
        clip = ClipId(request.text("clip"))
        await self._kit.ledger(lambda tx, rec: clips.unhold(tx, rec, clip, f"{request.actor}: {request.reason}"))
        return f"Clip {clip} is no longer on hold."

    async def _retry(self, request: _Request) -> str:
        wanted = request.body.get("sha256")
        try:
            sha256 = None if wanted is None else as_digest(str(wanted))
        except ValueError as error:
            raise ActionRefused(str(error)) from error
        changed = await self._kit.ledger(lambda tx, _: uploads.retry_now(tx, sha256))
        self._uploader.retry_now()
        return f"All stores are tried now; {changed} waiting uploads were given a fresh start."

    async def _accept_ledger(self, request: _Request) -> str:
        await self._kit.ledger(lambda tx, rec: doubts.accept(tx, rec, request.actor, request.reason))
        return ACCEPTED
