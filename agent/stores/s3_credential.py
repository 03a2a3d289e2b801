"""The key pair by which an S3 store knows this station. The secret signs requests and is never sent.

A pair that is lent for a while comes with a session token, which is sent. All can be exchanged while the agent runs:
when a store refuses them, their file is read again.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from agent.core.errors import ConfigError
from agent.stores.credential import MAX_BYTES

_KEY_ID = re.compile(r"[A-Za-z0-9._~+@=-]{1,256}")
_SECRET = re.compile(r"[!-~]{1,512}")
_TOKEN = re.compile(r"[!-~]{1,3072}")
_LINES = (2, 3)
_FORM = "The file has two lines: the access key id, and below it the secret access key; a third is a session token."


@dataclass(slots=True)
class S3Credential:
    """A pair that stays out of every `repr`. `file` is where it came from."""

    key_id: str = field(repr=False)
    secret: str = field(repr=False)
    file: Path | None = None
    token: str | None = field(default=None, repr=False)

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read a file with two or three lines. Blocks. Raises ConfigError, whose message never holds what was read."""
        try:
            with path.open("rb") as file:
                data = file.read(MAX_BYTES + 1)
            lines = data.decode("ascii").split()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"the credential file {path} cannot be read: {type(error).__name__}") from None
        if len(data) > MAX_BYTES or len(lines) not in _LINES:
            raise ConfigError(f"the credential file {path} does not hold two keys, or two and a token", hint=_FORM)
        key_id, secret, *token = lines
        forms = zip((_KEY_ID, _SECRET, _TOKEN), lines, strict=False)
        if not all(form.fullmatch(line) for form, line in forms):
            raise ConfigError(f"the credential file {path} holds what cannot be an access key", hint=_FORM)
        return cls(key_id, secret, path, *token)

    def renew(self) -> bool:
        """Read the file again; tell whether it holds something else now. One that cannot be read changes nothing.

        Blocks.
        """
        if self.file is None:
            return False
        try:
            fresh = S3Credential.read(self.file)
        except ConfigError:
            return False
        changed = (fresh.key_id, fresh.secret, fresh.token) != (self.key_id, self.secret, self.token)
        self.key_id, self.secret, self.token = fresh.key_id, fresh.secret, fresh.token
        return changed
