"""Whether anything moves on a connection, in either direction."""

import asyncio


class Gate:
    """Open at first; shut for a time, until it is opened, or for ever."""

    def __init__(self) -> None:
        """Belongs to the running loop."""
        self._open = asyncio.Event()
        self._open.set()
        self._opens: asyncio.TimerHandle | None = None
        self._walled_up = False

    async def passed(self) -> None:
        """Return once the gate is open."""
        await self._open.wait()

    def shut(self, for_s: float | None) -> None:
        """Let nothing pass for so many seconds; None: until `open`."""
        self._forget()
        self._open.clear()
        if for_s is not None:
            self._opens = asyncio.get_running_loop().call_later(for_s, self.open)

    def open(self) -> None:
        """Let everything pass, unless the gate is walled up."""
        self._forget()
        if not self._walled_up:
            self._open.set()

    def wall_up(self) -> None:
        """Let nothing pass ever again."""
        self._walled_up = True
        self.shut(None)

    def _forget(self) -> None:
        if self._opens is not None:
            self._opens.cancel()
            self._opens = None
