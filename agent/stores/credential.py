"""The bearer token by which a store knows this station. It appears in one header and nowhere else.

A token can be exchanged while the agent runs: when a store refuses it, its file is read again.
"""

import re
from dataclasses import dataclass, field
from pathlib import Path

from agent.core.errors import ConfigError

MAX_BYTES = 4096
_TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1


@dataclass(slots=True)
class Credential:
    """A token that stays out of every `repr`; None means that the store asks for none. `file` is where it came from."""

    token: str | None = field(default=None, repr=False)
    file: Path | None = None

    def __post_init__(self) -> None:
        """Refuse what does not fit into a header. The message never holds the token."""
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ConfigError("the credential of a store is not one bearer token (letters, digits and -._~+/=)")

    def renew(self) -> bool:
        """Read the file again; tell whether it holds another token now. One that cannot be read changes nothing.

        Blocks.
        """
        try:
            token = read_credential(self.file).token
        except ConfigError:
            return False
        changed = token is not None and token != self.token
        if changed:
            self.token = token
        return changed

    def headers(self) -> dict[str, str]:
        """The header to send."""
        return {} if self.token is None else {"Authorization": f"Bearer {self.token}"}


def read_credential(path: Path | None) -> Credential:
    """Read the token from a file with one line. Blocks. Raises ConfigError."""
    if path is None:
        return Credential()
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        if len(data) <= MAX_BYTES:
            return Credential(data.decode("ascii").strip(), path)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"the credential file {path} cannot be read: {type(error).__name__}") from None
    raise ConfigError(f"the credential file {path} is larger than a token can be")
