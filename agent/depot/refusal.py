"""How the depot says no: to a client (an HTTP answer) and to the operator (a failure with a hint)."""

from collections.abc import Mapping

from agent.core.errors import AgentError, Remedy


class DepotError(AgentError):
    """The depot cannot start, or cannot do what its operator asked."""

    code, remedy = "depot.refused", Remedy.HALT


class Refusal(Exception):
    """One HTTP answer that refuses. `code` is a stable word; `message` says what happened and what to do."""

    def __init__(self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> None:
        """`headers` are added to the answer."""
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = dict(headers or {})


def unknown_upload() -> Refusal:
    """The answer for an upload that is not there, or belongs to another station: the two look the same."""
    return Refusal(404, "unknown_upload", "this station has no such upload; create a new one")
