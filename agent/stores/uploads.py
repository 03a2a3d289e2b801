"""The short tus 1.0 requests about one upload: create it, ask where it stands, give it up.

Source: tus resumable upload protocol 1.0.0, core, creation, expiration and termination.
"""

import math
from dataclasses import replace
from http import HTTPStatus
from typing import NamedTuple

from agent.core.errors import StoreError, StoreLied
from agent.ports import Shipment
from agent.stores.abilities import Abilities
from agent.stores.answer import Answer, NotTheStore, http_date, refusal
from agent.stores.control import Control
from agent.stores.metadata import upload_metadata
from agent.stores.remote import Remote

TUS = {"Tus-Resumable": "1.0.0"}
GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.FORBIDDEN})
_PASSING = frozenset({HTTPStatus.FORBIDDEN, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
_FINE = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT})


class UploadSpoiled(StoreLied):
    """The upload cannot be trusted any more (an impossible offset, altered bytes): it is created anew."""


class Stand(NamedTuple):
    """Where an upload stands. `life_s`: the store forgets it then; None: it did not say that it would."""

    offset: int
    life_s: float | None


class Uploads:
    """Uploads at one store, seen from the control connection. Methods raise StoreError kinds."""

    def __init__(self, remote: Remote, control: Control) -> None:
        """Ask through `control`."""
        self._name = remote.name
        self._endpoint = remote.endpoint
        self._control = control
        self._clock = remote.clock
        self._abilities: Abilities | None = None
        self.base = remote.endpoint.base
        self.new_life_s = math.inf  # of the upload that was created last; before that, new ones are thought to last

    async def abilities(self) -> Abilities:
        """What the store can do beyond the core; it is asked once, unless its answer was about something else."""
        if self._abilities is not None:
            return self._abilities
        doing = f"store {self._name}: asking what the store can do"
        answer = await self._control.ask_again("OPTIONS", self.base, doing, {})
        if answer.is_web_page or not _is_about_options(answer.status):
            raise refusal(answer, doing, self._clock())
        abilities = Abilities.of(answer)
        if answer.status not in _PASSING:
            self._abilities = abilities
        return abilities

    def take_no_bytes(self) -> None:
        """Remember that the store refuses bytes with the creation of an upload, whatever it offered."""
        self._abilities = replace(self._abilities or Abilities(), creation_with_upload=False)

    def doing(self, shipment: Shipment) -> str:
        """How messages name the sending of an object."""
        return f"store {self._name}: sending {shipment.sha256}"

    def creation(self, shipment: Shipment) -> dict[str, str]:
        """The headers that create an upload."""
        return {
            **TUS,
            "Upload-Length": str(shipment.size_bytes),
            "Upload-Metadata": upload_metadata(shipment),
        }

    async def create(self, shipment: Shipment) -> str:
        """Create an upload and return its address."""
        headers = {**self.creation(shipment), "Content-Length": "0"}
        answer = await self._control.ask("POST", self.base, self._creating(shipment), headers)
        return self.created(answer, shipment)

    def created(self, answer: Answer, shipment: Shipment) -> str:
        """The address of the upload that an answer says was created."""
        doing = self._creating(shipment)
        if answer.status != HTTPStatus.CREATED:
            raise refusal(answer, doing, self._clock())
        location = answer.headers.get("location")
        if not location:
            raise StoreError(f"{doing}: the store did not say where the upload is")
        life_s = self._life_s(answer)
        self.new_life_s = math.inf if life_s is None else life_s
        return self._endpoint.pin(location, self.base)

    def _creating(self, shipment: Shipment) -> str:
        return f"store {self._name}: creating the upload of {shipment.sha256}"

    async def offset(self, url: str, size_bytes: int, sent_bytes: int | None) -> int | None:
        """How many bytes the store holds; otherwise as `stand`."""
        stand = await self.stand(url, size_bytes, sent_bytes)
        return None if stand is None else stand.offset

    async def stand(self, url: str, size_bytes: int, sent_bytes: int | None) -> Stand | None:
        """Ask how many bytes the store holds; None when it no longer knows the upload.

        `sent_bytes` is the most that can have left us, None when that is not known. Raises UploadSpoiled.
        """
        doing = f"store {self._name}: asking where an upload stands"
        answer = await self._control.ask_again("HEAD", url, doing, TUS)
        if answer.status in GONE:
            return None
        if answer.status not in _FINE:
            raise refusal(answer, doing, self._clock())
        if "tus-resumable" not in answer.headers and "upload-offset" not in answer.headers:
            raise NotTheStore(f"{doing}: something answered that is no tus server")
        length = answer.headers.get("upload-length")
        if length is not None and answer.number("upload-length") != size_bytes:
            raise UploadSpoiled(f"{doing}: the store names another length than it was given")
        most = size_bytes if sent_bytes is None else min(sent_bytes, size_bytes)
        return Stand(offset_in(answer, most, doing), self._life_s(answer))

    def _life_s(self, answer: Answer) -> float | None:
        """How long until the store forgets the upload, by the store's own clock where it tells the time."""
        ends = http_date(answer.headers.get("upload-expires"))
        if ends is None:
            return None
        now = http_date(answer.headers.get("date")) or self._clock()
        return max((ends - now).total_seconds(), 0.0)

    async def is_unfinished(self, url: str) -> bool:
        """Tell whether the store itself calls this upload unfinished; False when it does not know it."""
        doing = f"store {self._name}: asking whether an upload is finished"
        answer = await self._control.ask_again("HEAD", url, doing, TUS)
        if answer.status in GONE:
            return False
        if answer.status not in _FINE:
            raise refusal(answer, doing, self._clock())
        offset, length = answer.number("upload-offset"), answer.number("upload-length")
        return offset is not None and length is not None and offset < length

    async def terminate(self, url: str) -> None:
        """Remove an upload, only if the store calls it unfinished: some servers delete finished ones too."""
        if not await self.is_unfinished(url):
            return
        doing = f"store {self._name}: giving up an unfinished upload"
        answer = await self._control.ask("DELETE", url, doing, TUS)
        if answer.status not in _FINE | GONE:
            raise refusal(answer, doing, self._clock())


def _is_about_options(status: int) -> bool:
    """Whether the refusal, if it is one, may be of this question only: then the creation that follows tells more."""
    of_this = HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR and status != HTTPStatus.UNAUTHORIZED
    return of_this or status // 100 == HTTPStatus.OK // 100 or status == HTTPStatus.NOT_IMPLEMENTED


def offset_in(answer: Answer, most: int, doing: str) -> int:
    """Read an answer's offset, which can be at most `most`. Raises UploadSpoiled."""
    offset = answer.number("upload-offset")
    if offset is None:
        raise UploadSpoiled(f"{doing}: the store's offset is no number")
    if offset > most:
        raise UploadSpoiled(f"{doing}: the store claims {offset} bytes, but at most {most} were ever sent")
    return offset
