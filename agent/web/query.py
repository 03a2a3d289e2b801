"""The parameters of a GET request: known names, once each, within bounds; anything else is refused with 400."""

import re
from collections.abc import Iterable

from starlette.datastructures import QueryParams

from agent.core.clip import Custody
from agent.web.refusal import Refusal

CAMERA_MAX_CHARS = 255
"""No profile reads a longer serial."""
SEQ_MAX = 2**63 - 1
_DIGITS = re.compile(r"[0-9]{1,19}")


class Query:
    """Checked parameters of one request."""

    def __init__(self, given: QueryParams, known: Iterable[str]) -> None:
        """Raises Refusal for a name that is not known or given twice."""
        names = tuple(known)
        self._given: dict[str, str] = {}
        for name, value in given.multi_items():
            if name not in names:
                expected = ", ".join(names) if names else "none"
                raise Refusal(400, "the query holds an unknown parameter", f"This route takes: {expected}.")
            if name in self._given:
                raise Refusal(400, f"{name} is given twice", "Give each parameter once.")
            self._given[name] = value

    def number(self, name: str, *, default: int, least: int, most: int) -> int:
        """A whole number. Raises Refusal when it is none or out of bounds."""
        text = self._given.get(name)
        if text is None:
            return default
        if _DIGITS.fullmatch(text) is None or not least <= int(text) <= most:
            raise Refusal(400, f"{name} is not usable", f"Expected a whole number from {least} to {most}.")
        return int(text)

    def camera(self) -> str | None:
        """A camera's serial. Raises Refusal when no camera can have it."""
        text = self._given.get("camera")
        if text is not None and not (text and len(text) <= CAMERA_MAX_CHARS and text.isprintable()):
            raise Refusal(400, "camera is not usable", f"Expected 1 to {CAMERA_MAX_CHARS} printable characters.")
        return text

    def custody(self) -> str | None:
        """A custody state. Raises Refusal when there is no such state."""
        text = self._given.get("custody")
        if text is not None and text not in list(Custody):
            raise Refusal(400, "custody is not usable", f"Expected one of {', '.join(Custody)}.")
        return text
