"""The label that travels with an object in an S3 store, as user metadata.

Rules: values are percent-encoded, so that they are plain ASCII on every server and in every signature; key names
have no underscore, which proxies drop. All together stay below what stores take; what does not fit is cut, and
`cut` names the keys. The label is never a proof; the ledger holds it in full. Source: Amazon S3 API, user metadata.
"""

import re
from urllib.parse import quote_from_bytes

from agent.ports import Shipment
from agent.stores.metadata import file_type, label_fields

MAX_BYTES = 2048
"""Of keys and values together."""
_PREFIX = "x-amz-meta-"
_ROOM_FOR_CUT = 128
_BROKEN_END = re.compile(r"%.?$")


def s3_metadata(shipment: Shipment) -> dict[str, str]:
    """The headers of a new object; unknown facts have none. `Content-Type` is among them."""
    headers = {"Content-Type": file_type(shipment.label)}
    cut: list[str] = []
    room = MAX_BYTES - _ROOM_FOR_CUT
    for name, value, _ in label_fields(shipment):
        key = name.replace("_", "-")
        text = quote_from_bytes(value, safe="/:+@,")
        fits = max(room - len(key), 0)
        if len(text) > fits:
            cut.append(key)
            text = _BROKEN_END.sub("", text[:fits])
        if text:
            headers[_PREFIX + key] = text
            room -= len(key) + len(text)
    if cut:
        headers[_PREFIX + "cut"] = ",".join(cut)
    return headers
