"""What is kept about an unfinished upload: where it is, and how much can have left us under that address.

The store's own offset decides where to go on; `sent_bytes` only tells an honest offset from an impossible one. It
is written before bytes leave, as an upper bound, because the kernel may have taken more than was last recorded.
"""

import json
from dataclasses import dataclass
from typing import Self

FORGOTTEN = "{}"
"""The hint after an upload was given up: the next try creates a new one."""


@dataclass(frozen=True, slots=True)
class Hint:
    """An upload's address; `sent_bytes` is None when it is not known how much ever left us."""

    url: str
    sent_bytes: int | None

    def text(self) -> str:
        """The text to keep."""
        return json.dumps({"url": self.url, "sent": self.sent_bytes})

    @classmethod
    def parse(cls, text: str | None) -> Self | None:
        """Read a kept text, or a bare address; None for anything else: then a new upload is created."""
        if not text:
            return None
        if text.startswith(("http://", "https://")):
            return cls(text, None)
        try:
            fields = json.loads(text)
        except (ValueError, RecursionError):
            return None
        url = fields.get("url") if isinstance(fields, dict) else None
        if not isinstance(url, str):
            return None
        sent = fields.get("sent")
        return cls(url, sent if type(sent) is int and sent >= 0 else None)
