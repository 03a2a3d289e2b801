"""The label that travels with an upload, as a tus `Upload-Metadata` header.

Rules: the header stays small enough for every server and proxy in common use; what does not fit is cut, and `cut`
names the keys. The label helps the store to file the object and is never a proof; the ledger holds it in full.
"""

import base64
from pathlib import PurePosixPath

from agent.ports import ClipLabel, Shipment

MAX_HEADER_BYTES = 7168
"""nginx takes 8 KiB for one header line, Node 16 KiB for all."""
_SHORT_BYTES = 192
_FILENAME_BYTES = 255

# By extension and fixed: what the machine's own tables say differs from station to station.
_TYPES = {
    "mp4": "video/mp4",
    "m4v": "video/mp4",
    "mov": "video/quicktime",
    "avi": "video/x-msvideo",
    "mkv": "video/x-matroska",
    "webm": "video/webm",
    "ts": "video/mp2t",
    "jpg": "image/jpeg",
    "jpeg": "image/jpeg",
    "png": "image/png",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "json": "application/json",
    "xml": "application/xml",
    "txt": "text/plain",
}


def upload_metadata(shipment: Shipment) -> str:
    """Write the header's value: pure ASCII, at most MAX_HEADER_BYTES; unknown facts have no key."""
    parts: list[str] = []
    cut: list[str] = []
    room = MAX_HEADER_BYTES - 256  # for `cut` itself
    for key, value, limit in label_fields(shipment):
        # Base64 writes three bytes as four characters.
        fits = min(limit, (room - len(key) - 2) // 4 * 3)
        if len(value) > fits:
            cut.append(key)
        parts.append(_pair(key, value[:fits]))
        room -= len(parts[-1]) + 1
    if cut:
        parts.append(_pair("cut", " ".join(cut).encode()))
    return ",".join(parts)


def label_fields(shipment: Shipment) -> list[tuple[str, bytes, int]]:
    """Each known fact: its key, its bytes, and how many bytes it may have, the most useful first."""
    label = shipment.label
    texts = {
        "clip": label.clip,
        "camera": label.camera,
        "bay": label.bay,
        "station": label.station,
        "role": label.role,
        "event": "1" if label.event else "0",
        "started_at": label.started_at,
        "ended_at": label.ended_at,
        "officer": label.officer,
        "sha256": shipment.sha256,
        "filetype": file_type(label),
    }
    fields = [(k, v.encode("utf-8", "replace"), _SHORT_BYTES) for k, v in texts.items() if v is not None]
    fields.append(("filename", _file_name(label).encode("utf-8"), _FILENAME_BYTES))
    fields.append(("name", label.path, MAX_HEADER_BYTES))
    return fields


def _file_name(label: ClipLabel) -> str:
    return label.path.rsplit(b"/", 1)[-1].decode("utf-8", "replace")


def file_type(label: ClipLabel) -> str:
    """The media type by the name's extension."""
    return _TYPES.get(PurePosixPath(_file_name(label)).suffix.lower().removeprefix("."), "application/octet-stream")


def _pair(key: str, value: bytes) -> str:
    return f"{key} {base64.b64encode(value).decode('ascii')}" if value else key
