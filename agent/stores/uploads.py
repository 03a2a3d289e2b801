"""The short tus 1.0 requests about one upload: create it, ask where it stands, give it up.

Source: tus resumable upload protocol 1.0.0, core, creation and termination.
"""

from http import HTTPStatus

from agent.core.errors import StoreError, StoreLied
from agent.ports import Shipment
from agent.stores.answer import Answer, refusal
from agent.stores.control import Control
from agent.stores.metadata import upload_metadata
from agent.stores.remote import Remote

TUS = {"Tus-Resumable": "1.0.0"}
_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE, HTTPStatus.FORBIDDEN})
_FINE = frozenset({HTTPStatus.OK, HTTPStatus.NO_CONTENT})


class UploadSpoiled(StoreLied):
    """The upload cannot be trusted any more (an impossible offset, altered bytes): it is created anew."""


class Uploads:
    """Uploads at one store, seen from the control connection. Methods raise StoreError kinds."""

    def __init__(self, remote: Remote, control: Control) -> None:
        """Ask through `control`."""
        self._name = remote.name
        self._endpoint = remote.endpoint
        self._control = control
        self._clock = remote.clock

    def doing(self, shipment: Shipment) -> str:
        """How messages name the sending of an object."""
        return f"store {self._name}: sending {shipment.sha256}"

    async def create(self, shipment: Shipment) -> str:
        """Create an upload and return its address."""
        doing = f"store {self._name}: creating the upload of {shipment.sha256}"
        headers = {
            **TUS,
            "Upload-Length": str(shipment.size_bytes),
            "Upload-Metadata": upload_metadata(shipment),
            "Content-Length": "0",
        }
        answer = await self._control.ask("POST", self._endpoint.base, doing, headers)
        if answer.status != HTTPStatus.CREATED:
            raise refusal(answer, doing, self._clock())
        location = answer.headers.get("location")
        if not location:
            raise StoreError(f"{doing}: the store did not say where the upload is")
        return self._endpoint.pin(location, self._endpoint.base)

    async def offset(self, url: str, size_bytes: int, sent_bytes: int | None) -> int | None:
        """Ask how many bytes the store holds; None when it no longer knows the upload.

        `sent_bytes` is the most that can have left us, None when that is not known. Raises UploadSpoiled.
        """
        doing = f"store {self._name}: asking where an upload stands"
        answer = await self._control.ask_again("HEAD", url, doing, TUS)
        if answer.status in _GONE:
            return None
        if answer.status not in _FINE:
            raise refusal(answer, doing, self._clock())
        if "tus-resumable" not in answer.headers and "upload-offset" not in answer.headers:
            raise StoreError(f"{doing}: something answered that is no tus server")
        length = answer.headers.get("upload-length")
        if length is not None and answer.number("upload-length") != size_bytes:
            raise UploadSpoiled(f"{doing}: the store names another length than it was given")
        return offset_in(answer, size_bytes if sent_bytes is None else min(sent_bytes, size_bytes), doing)

    async def is_unfinished(self, url: str) -> bool:
        """Tell whether the store itself calls this upload unfinished; False when it does not know it."""
        doing = f"store {self._name}: asking whether an upload is finished"
        answer = await self._control.ask_again("HEAD", url, doing, TUS)
        if answer.status in _GONE:
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
        if answer.status not in _FINE | _GONE:
            raise refusal(answer, doing, self._clock())


def offset_in(answer: Answer, most: int, doing: str) -> int:
    """Read an answer's offset, which can be at most `most`. Raises UploadSpoiled."""
    offset = answer.number("upload-offset")
    if offset is None:
        raise UploadSpoiled(f"{doing}: the store's offset is no number")
    if offset > most:
        raise UploadSpoiled(f"{doing}: the store claims {offset} bytes, but at most {most} were ever sent")
    return offset
