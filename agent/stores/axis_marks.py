"""What may never be forgotten about a content destination: each mark is a small file that is written once.

Encryption and full support may only be turned on, and a station stays bound to the destination that it was bound to.
Without a folder (a trial) the marks hold while the process runs. Everything here blocks.
"""

import contextlib
from enum import StrEnum
from pathlib import Path

from agent.core.errors import ConfigError, StoreError
from agent.files.durable import DurablePart, make_directory
from agent.stores.axis_connection import AxisConnection

_MAX_BYTES = 256


class Mark(StrEnum):
    """The kinds of marks; the value is the end of the file's name."""

    ENCRYPTION = "encryption"
    FULL_SUPPORT = "full-support"
    BOUND = "bound"


class AxisMarks:
    """The marks of one store."""

    def __init__(self, name: str, folder: Path | None) -> None:
        """Nothing is read or written yet."""
        self._name = name
        self._folder = folder
        self._known: dict[Mark, str] = {}

    def path(self, mark: Mark) -> Path | None:
        """The file of a mark."""
        return None if self._folder is None else self._folder / f"{self._name}.axis-{mark.value}"

    def get(self, mark: Mark) -> str | None:
        """What a mark says; None when it was never set. Raises ConfigError."""
        path = self.path(mark)
        if mark not in self._known and path is not None:
            with contextlib.suppress(FileNotFoundError):
                try:
                    with path.open("rb") as file:
                        self._known[mark] = file.read(_MAX_BYTES).decode("ascii").strip()
                except FileNotFoundError:
                    raise
                except (OSError, UnicodeDecodeError) as error:
                    text = f"the mark {path} cannot be read: {type(error).__name__}"
                    raise ConfigError(text, hint="Let the agent's user read it; it must not be removed.") from error
        return self._known.get(mark)

    def set(self, mark: Mark, text: str = "yes") -> None:
        """Make a mark durable; one that is there stays as it is. Raises StoreError, ConfigError."""
        if self.get(mark) is not None:
            return
        path = self.path(mark)
        if path is not None:
            try:
                make_directory(path.parent)
                part = path.with_name(path.name + ".part")
                part.unlink(missing_ok=True)
                with contextlib.suppress(FileExistsError), DurablePart(part) as file:
                    file.write(text.encode("ascii") + b"\n")
                    file.publish(path)
            except OSError as error:
                hint = "Look at the disk of the state directory."
                raise StoreError(f"the mark {path} cannot be written: {error.strerror}", hint=hint) from error
        self._known[mark] = text


def refuse_step_back(connection: AxisConnection, marks: AxisMarks) -> None:
    """Refuse a connection file that takes back what an earlier one turned on. Raises ConfigError."""
    for mark, holds, name in (
        (Mark.ENCRYPTION, connection.want_encryption, "WantEncryption"),
        (Mark.FULL_SUPPORT, connection.full_support, "FullStoreAndReadSupport"),
    ):
        if not holds and marks.get(mark) is not None:
            text = f"the connection file turns {name} off, which may only be turned on"
            hint = "Get a connection file from the destination that has it on."
            if (path := marks.path(mark)) is not None:
                hint += f" If this is another destination, stop the agent and remove {path}."
            raise ConfigError(text, hint=hint)
