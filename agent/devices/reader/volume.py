"""Where a camera's medium is: a place that stays, or a mount that is made anew."""

from typing import Protocol


class Volume(Protocol):
    """The medium as the agent reaches it. The reader has let go of it whenever one of these is called."""

    async def afresh(self) -> str:
        """Have it readable only, from the medium itself and not from memory; return its address. Raises CameraError."""
        ...

    async def writable(self) -> str:
        """Have it writable; return its address. Raises MediumReadOnly, CameraError."""
        ...

    async def close(self) -> None:
        """Let go of it; idempotent, raises nothing."""
        ...


class FixedVolume:
    """A medium that is simply there: a folder, or a camera that does not show its medium."""

    def __init__(self, address: str) -> None:
        """Always at `address`."""
        self._address = address

    async def afresh(self) -> str:
        """Stay."""
        return self._address

    async def writable(self) -> str:
        """Stay: whether it can be written to is for the reader to find out."""
        return self._address

    async def close(self) -> None:
        """Nothing is held."""
