"""An S3 store that names the right checksum of what it holds, and looks at those that it is sent as it was told to."""

import base64
import re
from hashlib import sha256

from agent.stores.s3_checksum import TOLD, composite, whole
from tests.fakes.bad_answers import reply
from tests.fakes.hostile_s3 import HostileS3, error
from tests.fakes.hostile_store import Asked

_NUMBERS = re.compile(rb"<PartNumber>(\d+)</PartNumber>")


class CheckingS3(HostileS3):
    """`checks` holds PUT, PART or both; `keeps_wrong`: what was refused is stored all the same.

    `tells` False: no checksum is named. `told` replaces the one that is named. `server` is its Server header.
    `refusal` is its answer to a wrong checksum.
    """

    def __init__(self, *checks: str, keeps_wrong: bool = False) -> None:
        super().__init__()
        self.checks = set(checks)
        self.keeps_wrong = keeps_wrong
        self.tells = True
        self.told: str | None = None
        self.server = "Checking/1.0"
        self.deletes = True
        self.overwrites = False
        self.refusal = error(400, "BadDigest")
        self._sums: dict[str, str] = {}

    def _carry_out(self, asked: Asked) -> tuple[str, bytes]:
        if asked.method == "DELETE" and "uploadId" not in asked.path:
            path = asked.path.partition("?")[0]
            if self.deletes:
                self.objects.pop(path, None)
            return "DELETE", reply(204 if self.deletes else 403)  # some answers do not name the server
        if self.overwrites:
            asked.headers.pop("if-none-match", None)
        what, answer = "", b""
        wrong = self._is_wrong(asked)
        if not wrong or self.keeps_wrong:
            what, answer = super()._carry_out(asked)
        if wrong:
            what, answer = asked.method, self.refusal
        elif what == "PUT" and b" 200 " in answer[:20]:
            self._sums[asked.path] = whole(sha256(asked.body).digest())
        return what, answer.replace(b"\r\n", f"\r\nServer: {self.server}\r\n".encode(), 1)

    def _is_wrong(self, asked: Asked) -> bool:
        what = "PART" if "partNumber" in asked.path else "PUT"
        sent = asked.headers.get(TOLD)
        if asked.method != "PUT" or what not in self.checks or sent is None:
            return False
        return base64.b64decode(sent) != sha256(asked.body).digest()

    def _complete(self, path: str, asked: Asked) -> bytes:
        named = [self.parts[int(number)] for number in _NUMBERS.findall(asked.body) if int(number) in self.parts]
        answer = super()._complete(path, asked)
        if b" 200 " in answer[:20]:
            self._sums[path] = composite([sha256(part).digest() for part in named])
        return answer

    def _object(self, path: str, method: str) -> bytes:
        answer = super()._object(path, method)
        if not self.tells or b" 200 " not in answer[:20]:
            return answer
        told = self.told or self._sums.get(path, "")
        return answer.replace(b"\r\n", f"\r\n{TOLD}: {told}\r\n".encode(), 1)
