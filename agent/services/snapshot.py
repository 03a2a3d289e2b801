"""A copy of the ledger for a backup, made while the service runs and left beside the ledger for who asked."""

import asyncio

from agent.core.errors import ActionRefused
from agent.ledger.snapshot import copy_ledger
from agent.services.ask import Request
from agent.services.kit import Kit


class Snapshots:
    """Makes copies, one at a time."""

    def __init__(self, kit: Kit) -> None:
        """Copy this kit's ledger."""
        self._kit = kit
        self._one = asyncio.Lock()

    async def take(self, request: Request) -> str:
        """Copy the ledger to `ledger.snapshot` in the state directory. Raises ActionRefused, LedgerError."""
        if not self._kit.audited.is_set():  # the audit keeps the file still for itself, and may find it damaged
            raise ActionRefused("The ledger is still being checked since the start.", hint="Try again in a minute.")
        database, fields = self._kit.database, request.who_and_why
        async with self._one:
            await self._kit.ledger(lambda tx, rec: rec.record(tx, "ledger.backed_up", fields))
            await self._kit.on_disk(lambda: copy_ledger(database, database.path.with_suffix(".snapshot")))
        return "The ledger was copied."
