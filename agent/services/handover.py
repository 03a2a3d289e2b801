"""A folder or mounted card that a person hands over: taken through the whole chain once."""

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agent.core.bay import Phase
from agent.core.clip import BayName, Clip, Copy, Custody, display_name
from agent.core.disposal_policy import MEDIUM_REFUSALS, REFUSALS
from agent.core.errors import ActionRefused, AgentError
from agent.ledger import fleet, objects, upload_orders
from agent.ports import Docked, JsonObject
from agent.services.identity import Hand, UnknownProfile
from agent.services.kit import Kit
from agent.services.queue_view import paused_words
from agent.services.session import Session
from agent.services.slot import Slot
from agent.services.station import Station
from agent.services.uploader import Uploader
from agent.services.views import ledger_notices, upload_problems

if TYPE_CHECKING:
    from agent.core.custody import JsonValue

PATIENCE_S = 15.0
"""How long no byte may move towards a store before the person is sent away: the spool has everything."""
WAIT_CAP_S = 7 * 86400.0
_TICK_S = 0.25


@dataclass(slots=True)
class _Outcome:
    done: bool = False
    problem: str | None = None
    unknown_profile: bool = False  # the person's mistake: nothing was looked at


async def hand_over(kit: Kit, station: Station, uploader: Uploader, request: JsonObject) -> AsyncIterator[JsonObject]:
    """Offload `request["path"]`; yields progress, and last `{"result": ...}`. Raises ActionRefused."""
    patience_s = _patience(request)
    docked, hand = await kit.on_disk(lambda: _read_request(request))
    if kit.draining:  # asked here: from here on nothing is awaited before the slot stands
        hint = "Nothing is lost; give the folder again afterwards, or end it with `dock-agent drain --undo`."
        raise ActionRefused("The station is about to be restarted, so nothing new is read.", hint=hint)
    station.refuse_overlap(docked.address)
    outcome, started = _Outcome(), time.monotonic()

    async def run(slot: Slot) -> None:
        try:
            await slot.session.run()
        except AgentError as error:
            outcome.problem, outcome.unknown_profile = error.told(), isinstance(error, UnknownProfile)
        finally:
            outcome.done = True
            slot.ended.set()
            kit.change.ring()

    async with asyncio.TaskGroup() as group, station.handed_over(docked, hand) as slot:
        slot.task = group.create_task(run(slot))
        async with aclosing(_watch(kit, uploader, slot.session, outcome, patience_s)) as watching:
            async for progress in watching:
                yield progress
    yield {"result": await _result(kit, uploader, slot.session, outcome, time.monotonic() - started)}


def _read_request(request: JsonObject) -> tuple[Docked, Hand]:
    path = Path(str(request.get("path", "")))
    if not path.is_absolute() or not path.is_dir():
        raise ActionRefused(f"{path} is not a folder on this machine.", hint="Give the mounted card or a folder.")
    profile, camera = request.get("profile"), request.get("camera")
    hand = Hand(
        actor=str(request.get("actor") or "unknown"),
        profile=None if profile is None else str(profile),
        camera=None if camera is None else str(camera),
    )
    real = path.resolve()
    return Docked(BayName("hand"), "folder", str(real), str(real)), hand


def _patience(request: JsonObject) -> float:
    """How long to wait for stores that do not move: what the person asked for, else PATIENCE_S."""
    wanted = request.get("wait_s")
    if wanted is None:
        return PATIENCE_S
    if isinstance(wanted, bool) or not isinstance(wanted, int | float) or not 0 <= wanted <= WAIT_CAP_S:
        raise ActionRefused(f"wait_s must be a number of seconds from 0 to {WAIT_CAP_S:.0f}.")
    return float(wanted)


async def _watch(
    kit: Kit, uploader: Uploader, session: Session, outcome: _Outcome, patience_s: float
) -> AsyncGenerator[JsonObject, None]:
    """Yield progress until the session has ended, all is settled, or the stores do not move."""
    moved, moved_at = -1, time.monotonic()
    while not outcome.done:
        seen = kit.change.rings
        yield _progress(uploader, session)
        now, at_work = _movement(uploader, session), session.standing.phase not in (Phase.UPLOADING, Phase.DONE)
        if now != moved or at_work:
            moved, moved_at = now, time.monotonic()
        if _settled(session) or (not at_work and time.monotonic() - moved_at > patience_s):
            return
        await kit.change.wait(seen, 1.0)
        await asyncio.sleep(_TICK_S if session.standing.phase is Phase.OFFLOADING else 0)


def _settled(session: Session) -> bool:
    standing = session.standing
    nothing_left = not standing.aboard.spooled and not standing.aboard.listed
    return standing.phase is Phase.DONE and nothing_left and not session.wipe_pending


def _movement(uploader: Uploader, session: Session) -> int:
    sent = sum(r.transfer.sent_bytes for r in uploader.running.values())
    return sent + session.standing.aboard.spooled + session.progress.done_bytes


def _progress(uploader: Uploader, session: Session) -> JsonObject:
    standing, progress = session.standing, session.progress
    return {
        "phase": standing.phase.value,
        "camera": standing.camera,
        "profile": standing.profile,
        "done_bytes": progress.done_bytes,
        "total_bytes": max(progress.total_bytes, progress.done_bytes),
        "rate_bytes_s": round(progress.rate_bytes_s),
        "eta_s": progress.eta_s,
        "spooled": standing.aboard.spooled,
        "confirmed": standing.aboard.confirmed,
        "uploading": len(uploader.running),
        "problem": standing.problem,
    }


async def _result(kit: Kit, uploader: Uploader, session: Session, outcome: _Outcome, seconds: float) -> JsonObject:
    ident = session.ident
    seen = [] if ident is None else await kit.ledger(lambda tx, _: fleet.clips_in(tx, ident))
    clips: list[JsonValue] = [await _clip_view(kit, clip) for clip in seen]
    return {
        "camera": session.standing.camera,
        "profile": session.standing.profile,
        "clips": clips,
        "bytes": sum(c.entry.size_bytes for c in seen),
        "seconds": round(seconds, 3),
        "problems": [*_problems(uploader, session, outcome, seen), *await _upload_problems(kit, seen)],
        "notes": [*_notes(session, seen), *_pauses(kit, seen), *await kit.ledger(lambda tx, _: ledger_notices(tx))],
        "listed_whole": session.listed_whole,
        "unrecognised": session.listing.left_media,
        "left": session.listing.left,
        "blank": session.identified is not None and session.identified.blank,
        "unknown_profile": outcome.unknown_profile,
        "never": kit.settings.never,
        "trial": kit.settings.trial,
    }


async def _clip_view(kit: Kit, clip: Clip) -> JsonObject:
    sha256 = clip.sha256
    receipts = [] if sha256 is None else await kit.ledger(lambda tx, _: objects.receipts(tx, sha256))
    shown: JsonValue = dict(name) if isinstance(name := display_name(clip.entry.path), dict) else name
    return {
        "id": clip.id,
        "name": shown,
        "size": clip.entry.size_bytes,
        "sha256": clip.sha256,
        "state": clip.custody.value,
        "camera_copy": clip.copy.value,
        "event": clip.event,
        "role": clip.role,
        "problem": clip.problem,
        "receipts": [{"store": r.store, "kind": r.kind.word, "at": r.issued_at.isoformat()} for r in receipts],
    }


def _problems(uploader: Uploader, session: Session, outcome: _Outcome, seen: list[Clip]) -> list[str]:
    problems = [p for p in (outcome.problem, session.standing.problem) if p]
    problems += [f"{name}: {p.problem}" for name, p in uploader.pauses.items() if p.failures and p.problem]
    problems += [
        f"clip {c.id}: {c.problem}" for c in seen if c.custody in (Custody.QUARANTINED, Custody.LOST) and c.problem
    ]
    problems += [
        f"left on the camera: {count} {reason} (not regular files, never followed)"
        for reason, count in session.listing.refused.items()
    ]
    if session.listing.left_media:
        problems.append(
            f"left on the camera and NOT copied: {session.listing.left_media} files that look like footage, but that"
            f" profile {session.standing.profile} does not name; try another --profile"
        )
    if session.listing.names:
        names = _named(session.listing.names, session.listing.uncopied)
        problems.append(f"left on the camera, by name: {names}")
    return problems


async def _upload_problems(kit: Kit, seen: list[Clip]) -> list[str]:
    """Why single objects of this camera were not accepted or proved."""
    mine = {c.sha256 for c in seen if c.sha256 is not None}
    found = await kit.ledger(lambda tx, _: upload_problems(tx))
    texts = {f"{store}: {problem['problem']}" for (sha256, store), problem in found.items() if sha256 in mine}
    notices = [
        f"{s.name}: it is on this machine and confirms nothing unless trial = true"
        for s in kit.settings.stores
        if not s.counts
    ]
    stopped = await kit.ledger(lambda tx, _: upload_orders.pauses(tx))
    texts |= {paused_words(store, by) for store, by in stopped.items()}
    return [*sorted(texts), *(notices if any(c.custody is Custody.SPOOLED for c in seen) else [])]


def _pauses(kit: Kit, seen: list[Clip]) -> list[str]:
    """Why clips that could go on their way do not."""
    if all(clip.custody is not Custody.SPOOLED for clip in seen):
        return []
    paused = {s.name: kit.bandwidth.why_paused(s.name, kit.recorder.clock()) for s in kit.settings.stores}
    return [f"{store}: {why}" for store, why in paused.items() if why is not None]


def _notes(session: Session, seen: list[Clip]) -> list[str]:
    """What is no fault but should be said."""
    notes = []
    if any(c.copy is Copy.PRESENT for c in seen):
        sentences = REFUSALS | MEDIUM_REFUSALS
        notes += [f"not wiped ({count}): {sentences[reason]}" for reason, count in session.wipe_refusals.items()]
    if session.listing.left:
        names = _named(session.listing.left_names, session.listing.left)
        notes.append(f"files that the profile does not name, left on the camera: {session.listing.left} ({names})")
    return notes


def _named(first: list[str], count: int) -> str:
    more = count - len(first)
    return ", ".join(first) + (f" and {more} more" if more else "")
