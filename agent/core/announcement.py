"""The announcement: what a station tells a store of objects before their bytes come, as text.

Rules: it names nothing that the metadata of the objects themselves would not say, and it proves nothing. It is small,
the same objects always give the same text, and to read it twice changes nothing. Format: docs/announcements.md.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from agent.core.clip import CameraId, display_name
from agent.core.custody import JsonValue
from agent.core.object import Digest, as_digest

FORMAT = "bwv-announcement/1"
MAX_OBJECTS = 500
MAX_BYTES = 64 << 10
"""Of a whole announcement: one object alone always fits, and on a slow line it leaves in a moment."""
_MAX_SIZE = (1 << 63) - 1
_MAX_CAMERA = 200
_MAX_PATH_BYTES = 4096
_MAX_TIME = 64
_KEYS = {"sha256", "size", "camera", "path", "started_at", "event", "priority"}
_PRIORITY = {"urgent": True, "normal": False}


@dataclass(frozen=True, slots=True)
class Announced:
    """One object that is to come, under the label of its oldest sighting.

    `started_at` is the camera's claim, None when unknown; `urgent` says that it goes before others.
    """

    sha256: Digest
    size_bytes: int
    camera: CameraId
    path: bytes
    started_at: str | None
    event: bool
    urgent: bool

    def view(self) -> dict[str, JsonValue]:
        """As JSON; a path that is not UTF-8 is `{"hex": ...}`, other text that cannot be written has `?` in it."""
        name = display_name(self.path)
        return {
            "sha256": self.sha256,
            "size": self.size_bytes,
            "camera": _writable(self.camera)[:_MAX_CAMERA],
            "path": dict(name) if isinstance(name, dict) else name,
            "started_at": _writable(self.started_at)[:_MAX_TIME] if self.started_at else None,
            "event": self.event,
            "priority": "urgent" if self.urgent else "normal",
        }


@dataclass(frozen=True, slots=True)
class Announcement:
    """What one station announces at once: 1 to MAX_OBJECTS objects, at most MAX_BYTES as text."""

    station: str
    objects: tuple[Announced, ...]

    @classmethod
    def of(cls, station: str, waiting: Iterable[Announced]) -> Self:
        """Take as many from the beginning of `waiting` as fit. Raises ValueError when there is nothing."""
        objects: list[Announced] = []
        room = MAX_BYTES - len(cls(station, ()).text())
        for each in waiting:
            room -= len(_dumped(each.view())) + 1
            if room < 0 or len(objects) == MAX_OBJECTS:
                break
            objects.append(each)
        if not objects:
            raise ValueError("there is nothing to announce")
        return cls(station, tuple(objects))

    def text(self) -> bytes:
        """The exact bytes: one JSON object, plain ASCII, ended by a line feed."""
        objects: list[JsonValue] = [each.view() for each in self.objects]
        return _dumped({"format": FORMAT, "station": self.station, "objects": objects}).encode("ascii") + b"\n"

    @classmethod
    def parse(cls, text: bytes) -> Self:
        """Read an announcement. Raises ValueError for anything that is none, or beyond the limits."""
        if len(text) > MAX_BYTES:
            message = f"an announcement has at most {MAX_BYTES} bytes"
            raise ValueError(message)
        try:
            body = json.loads(text)
        except RecursionError:
            raise ValueError("it is nested too deeply") from None
        if not isinstance(body, dict) or body.keys() != {"format", "station", "objects"} or body["format"] != FORMAT:
            message = f"not an object of the form {FORMAT}"
            raise ValueError(message)
        objects = body["objects"]
        if not isinstance(objects, list) or not 1 <= len(objects) <= MAX_OBJECTS:
            message = f"an announcement names 1 to {MAX_OBJECTS} objects"
            raise ValueError(message)
        return cls(_text(body, "station", _MAX_CAMERA), tuple(map(_announced, objects)))


def _dumped(value: dict[str, JsonValue]) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))


def _writable(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")


def _announced(view: object) -> Announced:
    if not isinstance(view, dict) or view.keys() != _KEYS:
        message = f"an announced object has exactly these keys: {', '.join(sorted(_KEYS))}"
        raise ValueError(message)
    size, event, priority = view["size"], view["event"], view["priority"]
    if type(size) is not int or not 0 <= size <= _MAX_SIZE:
        raise ValueError("size is no number of bytes")
    if type(event) is not bool or not isinstance(priority, str) or priority not in _PRIORITY:
        raise ValueError("event is true or false, priority is urgent or normal")
    return Announced(
        as_digest(_text(view, "sha256", _MAX_CAMERA)),
        size,
        CameraId(_text(view, "camera", _MAX_CAMERA)),
        _path(view["path"]),
        None if view["started_at"] is None else _text(view, "started_at", _MAX_TIME),
        event,
        _PRIORITY[priority],
    )


def _text(view: dict[str, object], key: str, most: int) -> str:
    text = view[key]
    if not isinstance(text, str) or not 1 <= len(text) <= most:
        message = f"{key} is no text of 1 to {most} characters"
        raise ValueError(message)
    text.encode("utf-8")  # half a character, which JSON can carry and nobody can store, is a ValueError
    return text


def _path(value: object) -> bytes:
    if isinstance(value, dict) and value.keys() == {"hex"} and isinstance(value["hex"], str):
        path = bytes.fromhex(value["hex"])
    elif isinstance(value, str):
        path = value.encode("utf-8")
    else:
        raise ValueError('path is neither text nor {"hex": ...}')
    if not 1 <= len(path) <= _MAX_PATH_BYTES:
        message = f"path has 1 to {_MAX_PATH_BYTES} bytes"
        raise ValueError(message)
    return path
