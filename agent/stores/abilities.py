"""What a tus server says that it can do beyond the core protocol.

Rules: it is asked once for each store that was opened. What is offered is used where it helps and never believed as a
proof: servers exist that announce checksums and compare none. A server that does not answer the question (405, or a
proxy that answers it itself) gets core and creation, which all of them know. Source: tus 1.0.0, OPTIONS.
"""

from dataclasses import dataclass
from http import HTTPStatus
from typing import Self

from agent.stores.answer import Answer

MAX_HEADER_CHARS = 1024
"""More than this about extensions is no answer."""


@dataclass(frozen=True, slots=True)
class Abilities:
    """Extensions that the adapter has a use for."""

    creation_with_upload: bool = False
    checksum: bool = False  # with SHA-256

    @classmethod
    def of(cls, answer: Answer) -> Self:
        """Read an answer to OPTIONS; anything but a tus server's own is core and creation."""
        if answer.status not in (HTTPStatus.OK, HTTPStatus.NO_CONTENT):
            return cls()
        offered = _names(answer, "tus-extension")
        return cls(
            creation_with_upload="creation-with-upload" in offered,
            checksum="checksum" in offered and "sha256" in _names(answer, "tus-checksum-algorithm"),
        )


def _names(answer: Answer, header: str) -> frozenset[str]:
    text = answer.headers.get(header, "")
    if len(text) > MAX_HEADER_CHARS:
        return frozenset()
    return frozenset(name.strip() for name in text.split(","))
