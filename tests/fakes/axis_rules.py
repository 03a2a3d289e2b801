"""What a client of a content destination has to obey; each rule broken is one sentence.

Source: Axis Body Worn Content Destination API 1.6.13.
"""

import re
from urllib.parse import unquote

UUID = r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"
RECORDING = re.compile(rf"{UUID}_[A-Za-z0-9.~-]{{1,32}}_(\d{{8}}T\d{{6}}Z|UnknownTime)(_[0-9a-f]{{16}})?")
REJECTED = re.compile(rf"RejectedContent_(\d{{8}}T\d{{6}}Z|UnknownTime)_{UUID}")
CLIP = re.compile(r"(\d{8}_\d{6}|UnknownTime)_[0-9a-f-]+\.[a-z0-9]{1,8}")
BOOKMARK = re.compile(r"bookmark_(\d{8}T\d{6}Z|UnknownTime)_[0-9a-f]+")
_META = re.compile(r"X-(Container|Object)-Meta-([A-Z][a-z0-9]*)")
_ENCODED = re.compile(r"(?:[A-Za-z0-9._~-]|%[0-9A-F]{2})*")
_LONG = {
    "Containername": 256,
    "Rejectedcontentoriginalcontainer": 256,
    "Userid": 100,
    "Name": 100,
    "Connectionid": 100,
    "Systemname": 100,
    "Filename": 64,
    "Sha256": 64,
}
_FIXED = frozenset({"System", "Users", "Devices"})
_TIMES = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


def metadata(headers: dict[str, str]) -> dict[str, str]:
    """The decoded values of all metadata headers, by the key in small letters."""
    found = {}
    for name, value in headers.items():
        for prefix in ("x-container-meta-", "x-object-meta-"):
            if name.lower().startswith(prefix):
                found[name.lower().removeprefix(prefix)] = unquote(value)
    return found


def broken_by_headers(headers: dict[str, str]) -> list[str]:
    """Which rules for metadata the headers of a request break; names as they were sent."""
    broken = []
    for name, value in headers.items():
        if "-meta-" not in name.lower():
            continue
        known = _META.fullmatch(name)
        if known is None:
            broken.append(f"the header {name} is not written as it should be")
            continue
        if not _ENCODED.fullmatch(value):
            broken.append(f"{name} is not percent-encoded: {value}")
        raw = re.sub(r"%([0-9A-F]{2})", lambda hexed: chr(int(hexed[1], 16)), value).encode("latin-1")
        try:
            text = raw.decode("utf-8")
        except UnicodeDecodeError:
            broken.append(f"{name} is not UTF-8: {value}")
            continue
        if len(raw) > _LONG.get(known[2], 32):
            broken.append(f"{name} is too long: {text}")
        if any(ord(char) < 32 or ord(char) == 127 for char in text):
            broken.append(f"{name} holds a control character")
        if known[2].endswith("timeiso") and not _TIMES.fullmatch(text):
            broken.append(f"{name} is no time in UTC: {text}")
    return broken


def broken_by_container(name: str, meta: dict[str, str]) -> list[str]:
    """Which rules the creation of a container breaks."""
    if name in _FIXED:
        return []
    if REJECTED.fullmatch(name):
        wanted = {"containername", "rejectedcontentoriginalcontainer", "rejectedcontenttime", "rejectedcontentreason"}
        broken = [f"rejected content lacks {key}" for key in sorted(wanted - meta.keys())]
        return [*broken, *(["rejected content has a status"] if "status" in meta else [])]
    if not RECORDING.fullmatch(name):
        return [f"a recording is called {name}"]
    broken = []
    if meta.get("containername") != name:
        broken.append(f"the recording {name} calls itself {meta.get('containername')}")
    if meta.get("status") != "Transferring":
        broken.append(f"the recording {name} begins as {meta.get('status')}")
    user, serial, when = name.split("_")[:3]
    if (meta.get("userid"), meta.get("bwcserialnumber")) != (user, serial):
        broken.append(f"the recording {name} names another user or camera")
    if when != "UnknownTime" and not {"triggerontime", "triggerontimeiso", "starttime"} <= meta.keys():
        broken.append(f"the recording {name} lacks its times")
    return broken


def broken_by_object(container: str, name: str, meta: dict[str, str]) -> list[str]:
    """Which rules the creation of an object breaks."""
    if container in _FIXED:
        needed = {"System": {"connectionid", "systemname"}}.get(container, {"active", "name"})
        return [f"{container}/{name} lacks {key}" for key in sorted(needed - meta.keys())]
    if BOOKMARK.fullmatch(name):
        return [] if set(meta) <= {"starttime", "tags"} else [f"the bookmark {name} has {sorted(meta)}"]
    if not CLIP.fullmatch(name):
        return [f"an object is called {name}"]
    if name.endswith(".key"):
        return [] if meta.get("filetype") == "key" else [f"the key object {name} does not say so"]
    return [] if meta.get("containertype") == name.rpartition(".")[2] else [f"the clip {name} is of another type"]
