"""One request of a person: who asks, why, and for what."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.core.errors import ActionRefused
from agent.ports import JsonObject

if TYPE_CHECKING:
    from agent.core.custody import JsonValue

_TEXT_CAP = 500


@dataclass(frozen=True, slots=True)
class Request:
    """A request whose texts can go into the custody log."""

    actor: str
    reason: str
    body: JsonObject

    @classmethod
    def checked(cls, body: JsonObject) -> "Request":
        """Read who asks and why. Raises ActionRefused when either is missing or unusable."""
        unnamed = cls("", "", body)
        return cls(unnamed.text("actor"), unnamed.text("reason"), body)

    def text(self, key: str) -> str:
        """A needed text. Raises ActionRefused when it is missing or unusable."""
        value = self.body.get(key)
        if not isinstance(value, str) or not value.strip() or len(value) > _TEXT_CAP or not value.isprintable():
            raise ActionRefused(f"This needs a {key}: printable text of at most {_TEXT_CAP} characters.")
        return value.strip()

    def maybe(self, key: str) -> str | None:
        """A text that may be left out. Raises ActionRefused when it is there and unusable."""
        return None if self.body.get(key) is None else self.text(key)

    @property
    def note(self) -> str:
        """Who and why, as one text."""
        return f"{self.actor}: {self.reason}"

    @property
    def who_and_why(self) -> "dict[str, JsonValue]":
        """The fields of a custody event."""
        return {"actor": self.actor, "reason": self.reason}
