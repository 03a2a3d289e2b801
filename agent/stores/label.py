"""The label of an object in a directory store: a small JSON file that a person can read without us."""

import json
import re

from agent.core.clip import display_name
from agent.core.errors import ObjectRefused
from agent.ports import Shipment

_CLIP = re.compile(r"[A-Za-z0-9_-]{1,64}")


def label_name(shipment: Shipment) -> str:
    """The label's file name. Raises ObjectRefused when the clip's id is no file name."""
    if not _CLIP.fullmatch(shipment.label.clip):
        raise ObjectRefused("a clip's id does not fit into a file name", hint="Report this: ids are made by us.")
    return f"{shipment.sha256}.{shipment.label.clip}.json"


def label_text(shipment: Shipment) -> bytes:
    """The label as UTF-8 JSON with sorted keys; names that are not UTF-8 stand as {"hex": ...}."""
    label = shipment.label
    facts = {
        "bay": label.bay,
        "camera": label.camera,
        "clip": label.clip,
        "ended_at": label.ended_at,
        "event": label.event,
        "name": display_name(label.path),
        "officer": label.officer,
        "role": label.role,
        "sha256": shipment.sha256,
        "size": shipment.size_bytes,
        "started_at": label.started_at,
        "station": label.station,
    }
    text = json.dumps(facts, indent=2, sort_keys=True, ensure_ascii=False)
    return (text + "\n").encode("utf-8", "backslashreplace")
