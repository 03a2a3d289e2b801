"""The life of one clip, told from its custody events in plain words."""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from agent.cli.wording import safe, shown, size
from agent.core.clip import one_line

Event = dict[str, Any]

_WORDS: dict[str, str] = {
    "clip.listed": "was seen on camera {camera}: {path}, {size}",
    "clip.listed_again": "was seen on the camera again",
    "clip.spooled": "was copied whole into the spool, SHA-256 {sha256}",
    "clip.spool_copy_failed": "its spool copy was missing or altered ({problem}); it is to be copied again",
    "clip.confirmed": "is confirmed: enough stores proved that they hold it",
    "clip.quarantined": "was quarantined: {problem}",
    "clip.lost": "was no longer on the camera, before it had been copied: {problem}",
    "clip.read_again": "was read again on the camera: the same bytes",
    "clip.requested": "was asked for by {actor}: {reason}",
    "clip.held": "was put on hold by {note}",
    "clip.held_back": "its upload is held back by {note}",
    "clip.let_go": "its upload takes its turn again, by {note}",
    "clip.unheld": "is no longer on hold, by {note}",
    "copy.wipe_intended": "is to be cleared from the camera",
    "copy.unlinked": "was cleared from the camera; a fresh look is still to show it",
    "copy.intent_dropped": "was not cleared by this station after all",
    "copy.gone": "is no longer on the camera: it was cleared, and a fresh look showed it gone",
    "copy.still_there": "was still on the camera after it should have been cleared",
    "copy.missing": "is no longer on the camera, and not by this station's hand",
    "copy.seen_again": "is on the camera again",
    "copy.replaced": "was replaced on the camera by other bytes under the same name",
    "object.proved": "store {store} proved that it holds these bytes ({kind})",
    "object.lost_by_store": "store {store} no longer has these bytes; what it had proved does not count any more",
    "object.purged": "its spool copy may be destroyed, because it is confirmed",
    "queue.retried": "its failed uploads were forgotten by {actor}, so that it is sent at once",
    "object.hold_restarted": "its hold time began anew, because the clock had been ahead",
}


@dataclass(frozen=True, slots=True)
class Life:
    """A clip's events and those of its bytes, in order."""

    clip: str
    events: tuple[Event, ...]


def clips_beginning(walk: Callable[[], Iterator[str]], beginning: str) -> list[str]:
    """The ids of all clips of the log that begin so, sorted: people copy half an id."""
    named = (event.get("clip") for event in map(_parse, walk()))
    return sorted({clip for clip in named if isinstance(clip, str) and clip.startswith(beginning)})


def read_life(walk: Callable[[], Iterator[str]], clip: str) -> Life:
    """Collect from the log. Two walks, because a store may have proved the bytes before this clip was seen."""
    own = [event for event in map(_parse, walk()) if event.get("clip") == clip]
    digests = {event["sha256"] for event in own if "sha256" in event}
    if not digests:
        return Life(clip, tuple(own))
    about = [e for e in map(_parse, walk()) if "clip" not in e and e.get("sha256") in digests]
    return Life(clip, tuple(sorted([*own, *about], key=lambda event: int(event["seq"]))))


def tell(event: Event) -> str:
    """One event as a sentence with its time; what has no words is shown by its name."""
    pattern = _WORDS.get(str(event.get("event")), str(event.get("event")))
    facts = {key: shown(value) for key, value in event.items()}
    facts["size"] = size(event["size"]) if isinstance(event.get("size"), int) else "-"
    facts["path"] = _path(event)
    said = pattern.format_map(_Facts(facts)) if event.get("event") in _WORDS else safe(pattern)
    return f"{shown(event.get('at'))}  {said}"


class _Facts(dict[str, str]):
    """What an event does not say is shown as a dash."""

    def __missing__(self, key: str) -> str:
        return "-"


def _path(event: Event) -> str:
    try:
        return one_line(bytes.fromhex(str(event.get("path_hex", ""))))
    except ValueError:
        return "-"


def _parse(line: str) -> Event:
    """Read a line; one that is no object has nothing to tell (`verify` finds it)."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) and isinstance(event.get("seq"), int) else {}
