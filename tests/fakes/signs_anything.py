"""A tus store that signs a receipt for whatever it is asked about, with a valid signature."""

import json
from base64 import b64encode
from datetime import UTC, datetime

from agent.core.object import Digest
from agent.core.receipt import Statement
from agent.stores.probes.scratch import SMALL_BYTES
from agent.stores.receipts import key_id
from tests.fakes.bad_answers import reply
from tests.fakes.hostile_store import Asked, HostileStore


class SignsAnything(HostileStore):
    """It believes digest and length as they were announced, and has never looked at a byte."""

    def _receipt(self, asked: Asked, _fault: str) -> bytes:
        path, _, nonce = asked.path.partition("?nonce=")
        name = path.rsplit("/", 1)[-1]
        known = self.uploads.get(name)
        statement = Statement(
            station=self.station,
            sha256=Digest(name if known is None else known.announced),
            size_bytes=SMALL_BYTES if known is None else known.length,
            upload="u0" if known is None else name,
            nonce=nonce,
            issued_at=datetime.now(UTC),
            key=key_id(self._key.public_key()),
        )
        text = statement.text()
        signature = b64encode(self._key.sign(text.encode())).decode()
        return reply(200, body=json.dumps({"statement": text, "signature": signature}).encode())
