"""The metadata of recordings and of what is in them, as headers.

Rules: values are percent-encoded UTF-8 without control characters, cut at the bounds of the interface (which count
before the encoding, and never split a character); unknown facts have no header. The bound holds for what people and
cameras say, not for the names that the interface itself prescribes: those are longer than it allows. Source: Axis Body
Worn Content Destination API 1.6.13, "Clip metadata details".
"""

from collections.abc import Mapping
from datetime import datetime
from unicodedata import category
from urllib.parse import quote

from agent.ports import ClipLabel, Shipment
from agent.stores.axis_names import NOBODY, Moment, ending_of, serial_of, stamp_of, user_id

SHORT_BYTES = 32
NAME_BYTES = 64
NICE_BYTES = 100
"""Of the names of users, devices and systems."""
_PRESCRIBED_BYTES = 256
_BOUNDS = {
    "ContainerName": _PRESCRIBED_BYTES,
    "RejectedContentOriginalContainer": _PRESCRIBED_BYTES,
    "UserID": NICE_BYTES,
    "ConnectionId": NICE_BYTES,
    "SystemName": NICE_BYTES,
    "Name": NICE_BYTES,
    "FileName": NAME_BYTES,
    "Sha256": NAME_BYTES,
}
_CONTROLS = frozenset({"Cc", "Cs"})
OF_RECORDING = "X-Container-Meta-"
OF_OBJECT = "X-Object-Meta-"


def headers_of(prefix: str, facts: Mapping[str, str | None]) -> dict[str, str]:
    """The headers for some facts. Only the first letter of a key is large, as the interface wants it."""
    headers = {}
    for key, value in facts.items():
        text = None if value is None else bounded(value, _BOUNDS.get(key, SHORT_BYTES))
        if text:
            headers[prefix + key.capitalize()] = quote(text, safe="")
    return headers


def bounded(text: str, most_bytes: int) -> str:
    """The text without control characters, cut to what fits."""
    clean = "".join(char for char in text if category(char) not in _CONTROLS)
    return clean.encode("utf-8", "replace")[:most_bytes].decode("utf-8", "ignore")


def recording_facts(name: str, shipment: Shipment) -> dict[str, str | None]:
    """What is known of a recording; `Sha256` tells whose it is. Its status is not among them."""
    label = shipment.label
    moment = Moment.of(label.started_at)
    return {
        "ContainerName": name,
        "BWCSerialNumber": serial_of(label.camera),
        "SCUSerialNumber": label.station,
        "UserID": user_id(label.officer),
        "TriggerOn": "Event" if label.event else None,
        **_times("TriggerOnTime", label.started_at),
        **_times("StartTime", label.started_at),
        **_times("TriggerOffTime", label.ended_at),
        **_times("StopTime", label.ended_at),
        "TimeZone": None if moment is None else moment.zone,
        "Sha256": shipment.sha256,
    }


def rejected_facts(name: str, original: str, at: datetime, shipment: Shipment) -> dict[str, str | None]:
    """What is known of content that the destination did not take in the ordinary way."""
    return {
        **recording_facts(name, shipment),
        "RejectedContentOriginalContainer": original,
        "RejectedContentTime": stamp_of(at),
        "RejectedContentReason": "400 Bad Request",
    }


def clip_facts(shipment: Shipment) -> dict[str, str | None]:
    """What is known of a clip. `Sha256` is that of the camera's bytes, also where they are sent encrypted."""
    label = shipment.label
    return {
        **_times("StartTime", label.started_at),
        **_times("StopTime", label.ended_at),
        "ContainerType": ending_of(label),
        "Sha256": shipment.sha256,
        "FileName": label.path.rsplit(b"/", 1)[-1].decode("utf-8", "replace"),
        "Role": label.role,
    }


def key_facts(shipment: Shipment) -> dict[str, str | None]:
    """What is known of the key object of an encrypted clip."""
    moment = Moment.of(shipment.label.started_at)
    return {"StartTime": None if moment is None else moment.epoch, "FileType": "key"}


def bookmark_facts(label: ClipLabel) -> dict[str, str | None]:
    """What is known of the mark on a clip: that it is there, and when the clip began."""
    moment = Moment.of(label.started_at)
    return {"StartTime": None if moment is None else moment.iso, "Tags": "TriggerOn:Event"}


def user_facts(label: ClipLabel, *, with_id: bool) -> dict[str, str | None]:
    """What is known of the officer."""
    return {"Active": "True", "Name": label.officer or NOBODY, "UserID": label.officer if with_id else None}


def device_facts(label: ClipLabel) -> dict[str, str | None]:
    """What is known of the camera; its name here is its serial as it says it."""
    return {"Active": "True", "Name": label.camera}


def _times(key: str, claim: str | None) -> dict[str, str | None]:
    moment = Moment.of(claim)
    return {} if moment is None else {key: moment.epoch, f"{key}ISO": moment.iso}
