"""The probes of a tus store: ordinary uploads of random bytes, whose metadata call them probes.

Source: tus resumable upload protocol 1.0.0, with creation, termination and checksum; docs/receipt.md for receipts.
"""

import base64
import contextlib
import secrets
from hashlib import sha256
from http import HTTPStatus

from agent.core.commissioning import Verdict, all_hold
from agent.core.errors import ReceiptInvalid, StoreError, StoreUnreachable
from agent.core.object import ReceiptKind
from agent.stores.answer import Answer, refusal
from agent.stores.control import Control
from agent.stores.probes.findings import Findings, of_bytes, of_wrong, refused, taken
from agent.stores.probes.scratch import Scratch, scratch
from agent.stores.receipts import ReceiptKeys
from agent.stores.remote import Remote
from agent.stores.tus_proof import TusProof
from agent.stores.uploads import TUS, Uploads

_GONE = frozenset({HTTPStatus.NOT_FOUND, HTTPStatus.GONE})
_WRONG_OFFSET = 5
_PROVES_SIGNED = ("write", "receipt", "receipt_unfinished", "receipt_unknown")


class TusProbe:
    """One run. `run` may be called once; `clean` belongs after it, whatever happened."""

    def __init__(self, remote: Remote, control: Control, keys: ReceiptKeys | None) -> None:
        """Nothing is asked yet."""
        self._remote, self._control, self._keys = remote, control, keys
        self._uploads = Uploads(remote, control)
        self._proof = TusProof(remote, control, self._uploads, keys)
        self._doing = f"store {remote.name}: probing"
        self._made: list[str] = []
        self.findings = Findings()

    async def run(self) -> frozenset[ReceiptKind]:
        """Ask everything; the kinds of receipts that the store can give. Raises StoreError kinds.

        No answer of tus is a checksum of what lies in the store, so that kind is never among them.
        """
        checks = await self._offers()
        await self._wrong_offset()
        await self._wrong_checksum(offered=checks)
        whole, url = await self._write()
        await self._read_back(whole, url)
        if self._keys is None:
            self.findings.add("receipt", "nothing: no receipt_key is configured", "-", Verdict.ABSENT)
        else:
            await self._receipts(whole, url)
        await self._end_finished(url)
        kinds = set()
        if all_hold(self.findings.probes, ("write", "read_back")):
            kinds.add(ReceiptKind.READBACK)
        if all_hold(self.findings.probes, _PROVES_SIGNED):
            kinds.add(ReceiptKind.SIGNED)
        return frozenset(kinds)

    async def clean(self) -> None:
        """Remove what was created, as far as the store lets it."""
        for url in self._made:
            removed = False
            with contextlib.suppress(StoreError):
                if await self._is_gone(url):
                    continue
                await self._control.ask("DELETE", url, self._doing, TUS)
                removed = await self._is_gone(url)
            if not removed:
                self.findings.left.append(url.removeprefix(f"{self._remote.endpoint.origin}/"))

    async def _is_gone(self, url: str) -> bool:
        return (await self._control.ask_again("HEAD", url, self._doing, TUS)).status in _GONE

    async def _offers(self) -> bool:
        """Ask what the server can do; whether it says that it checks SHA-256."""
        answer = await self._control.ask("OPTIONS", self._remote.endpoint.base, self._doing, TUS)
        words = set(answer.headers.get("tus-extension", "").replace(" ", "").split(","))
        algorithms = answer.headers.get("tus-checksum-algorithm", "").replace(" ", "").split(",")
        known = sorted(words & {"creation", "expiration", "termination", "checksum", "concatenation"})
        told = f"{answer.status}" + (f", {', '.join(known)}" if known else ", names no extension")
        verdict = Verdict.HOLDS if taken(answer) else Verdict.UNKNOWN
        self.findings.add("extensions", "a question for what the server can do", told, verdict)
        return "checksum" in words and "sha256" in algorithms

    async def _begin(self) -> tuple[Scratch, str]:
        made = scratch(self._remote.station)
        url = await self._uploads.create(made.shipment)
        self._made.append(url)
        return made, url

    async def _wrong_offset(self) -> None:
        made, url = await self._begin()
        body = made.data[_WRONG_OFFSET : len(made.data) // 2]
        await self._wrong("wrong_offset", f"bytes for offset {_WRONG_OFFSET} of an empty upload", url, body)

    async def _wrong_checksum(self, *, offered: bool) -> None:
        sent = "half of an upload with a wrong Upload-Checksum"
        if not offered:
            self.findings.add("checksum", "nothing: the server offers no sha256 Upload-Checksum", "-", Verdict.ABSENT)
            return
        made, url = await self._begin()
        wrong = base64.b64encode(sha256(secrets.token_bytes(16)).digest()).decode("ascii")
        await self._wrong("checksum", sent, url, made.data[: len(made.data) // 2], f"sha256 {wrong}")

    async def _wrong(self, name: str, sent: str, url: str, body: bytes, checksum: str | None = None) -> None:
        """Send what must be refused, and look whether anything of it was kept."""
        offset = 0 if checksum else _WRONG_OFFSET
        try:
            answer = await self._patch(url, offset, body, {"Upload-Checksum": checksum} if checksum else {})
            kept = (await self._control.ask_again("HEAD", url, self._doing, TUS)).number("upload-offset")
        except StoreUnreachable as error:
            self.findings.add(name, sent, str(error).rpartition(": ")[2], Verdict.FAILED)
            return
        told = f"{answer.status}" + (f", and kept {kept} bytes" if kept else "")
        verdict = Verdict.IGNORED if kept and refused(answer) else of_wrong(answer)
        self.findings.add(name, sent, told, verdict)

    async def _write(self) -> tuple[Scratch, str]:
        made, url = await self._begin()
        if self._keys is not None:
            await self._unfinished(made, url)
        answer = await self._patch(url, 0, made.data, {})
        if not taken(answer):
            raise refusal(answer, self._doing, self._remote.clock())
        await self._proof.finished(made.shipment, url)
        self.findings.add("write", "a whole upload", f"{answer.status}, all bytes are there", Verdict.HOLDS)
        return made, url

    async def _unfinished(self, made: Scratch, url: str) -> None:
        """A store that signs for an upload without its bytes signs anything."""
        sent = "a question for a receipt of an upload without bytes"
        await self._must_not_sign("receipt_unfinished", sent, made, url)

    async def _receipts(self, whole: Scratch, url: str) -> None:
        other = scratch(self._remote.station)
        sent = "a question for a receipt of bytes that were never sent"
        await self._must_not_sign("receipt_unknown", sent, other, None)
        sent = "a question for a receipt of the whole upload"
        try:
            await self._proof.signed(whole.shipment, url, ReceiptKind.SIGNED)
        except ReceiptInvalid as error:
            self.findings.add("receipt", sent, str(error), Verdict.FAILED)
        else:
            self.findings.add("receipt", sent, "a receipt whose signature and every field are right", Verdict.HOLDS)

    async def _must_not_sign(self, name: str, sent: str, made: Scratch, url: str | None) -> None:
        try:
            if url is None:
                signed = await self._proof.find(made.shipment) is not None
            else:
                signed = await self._proof.signed(made.shipment, url, ReceiptKind.READBACK) is not None
        except StoreUnreachable:
            raise
        except StoreError:
            signed = False
        words = "a signed receipt" if signed else "no receipt"
        self.findings.add(name, sent, words, Verdict.IGNORED if signed else Verdict.HOLDS)

    async def _read_back(self, whole: Scratch, url: str) -> None:
        answer = await self._control.ask_again("GET", url, self._doing, elsewhere=True)
        of_bytes(self.findings, answer, whole.data, str(answer.status))

    async def _end_finished(self, url: str) -> None:
        """What is finished is evidence: a careful store keeps it. Another one removes our scratch in this way."""
        answer = await self._control.ask("DELETE", url, self._doing, TUS)
        sent = "an order to remove the finished upload"
        self.findings.add("finished_stays", sent, f"{answer.status}", of_wrong(answer))

    async def _patch(self, url: str, offset: int, body: bytes, more: dict[str, str]) -> Answer:
        headers = {**TUS, **more, "Content-Type": "application/offset+octet-stream", "Upload-Offset": str(offset)}
        return await self._control.ask("PATCH", url, self._doing, headers, content=body)
