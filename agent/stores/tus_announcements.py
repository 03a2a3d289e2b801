"""Announcements to a tus store: a small request beside the uploads, to stores that say that they take it.

Plain tus knows nothing of it, so the store is asked first: `Dock-Announcements: 1` in its answer to OPTIONS. Format and
interface: docs/announcements.md.
"""

from http import HTTPStatus

from agent.core.announcement import Announcement
from agent.stores.answer import refusal
from agent.stores.control import Control
from agent.stores.remote import Remote

OFFER, VERSION = "dock-announcements", "1"
_FINE = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT})
_NOT_HERE = frozenset(
    {HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.METHOD_NOT_ALLOWED, HTTPStatus.NOT_IMPLEMENTED}
)


class TusAnnouncements:
    """How one tus store is told what is to come."""

    def __init__(self, remote: Remote, control: Control) -> None:
        """Ask through `control`."""
        self._remote = remote
        self._control = control
        self._offered = False

    async def announce(self, announcement: Announcement) -> bool:
        """See EvidenceStore.announce. Raises StoreError kinds."""
        if not self._offered and not await self._ask():
            return False
        doing = f"store {self._remote.name}: announcing {len(announcement.objects)} objects"
        headers = {"Content-Type": "application/json"}
        url = self._remote.endpoint.announcements
        answer = await self._control.ask("POST", url, doing, headers, content=announcement.text())
        if answer.status in _FINE and not answer.is_web_page:
            return True
        self._offered = False
        if answer.status in _NOT_HERE:
            return False
        raise refusal(answer, doing, self._remote.clock())

    async def _ask(self) -> bool:
        doing = f"store {self._remote.name}: asking whether it takes announcements"
        answer = await self._control.ask_again("OPTIONS", self._remote.endpoint.base, doing)
        if answer.status in _NOT_HERE:
            return False
        if answer.status not in _FINE or answer.is_web_page:
            raise refusal(answer, doing, self._remote.clock())
        self._offered = answer.headers.get(OFFER) == VERSION
        return self._offered
