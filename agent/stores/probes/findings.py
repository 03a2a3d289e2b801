"""What the probes of one run found, as it comes in."""

from dataclasses import dataclass, field
from http import HTTPStatus

from agent.core.commissioning import Probe, Verdict
from agent.stores.answer import Answer

_PASSING = frozenset({HTTPStatus.UNAUTHORIZED, HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_MANY_REQUESTS})
"""Refusals that have nothing to do with what was sent."""


@dataclass(slots=True)
class Findings:
    """Probes in the order in which they were made; `left` names what could not be removed."""

    probes: list[Probe] = field(default_factory=list)
    left: list[str] = field(default_factory=list)

    def add(self, name: str, sent: str, answered: str, verdict: Verdict) -> Verdict:
        """Write one down and return its verdict."""
        self.probes.append(Probe(name, sent, answered, verdict))
        return verdict


def refused(answer: Answer) -> bool:
    """Whether a store refused what it was sent; its own trouble, and a log-in that it wants, are no such refusal."""
    client_error = HTTPStatus.BAD_REQUEST <= answer.status < HTTPStatus.INTERNAL_SERVER_ERROR
    return client_error and answer.status not in _PASSING


def taken(answer: Answer) -> bool:
    """Whether a store took what it was sent."""
    return HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES and not answer.is_web_page


def of_wrong(answer: Answer) -> Verdict:
    """What the answer shows to a request that a careful store refuses."""
    if refused(answer):
        return Verdict.HOLDS
    return Verdict.IGNORED if taken(answer) else Verdict.FAILED


def of_bytes(findings: Findings, answer: Answer, data: bytes, said: str) -> None:
    """Write down whether what was stored comes back."""
    if not taken(answer):
        told, verdict = said, Verdict.ABSENT if refused(answer) else Verdict.FAILED
    elif answer.body == data:
        told, verdict = f"{said}, the same bytes", Verdict.HOLDS
    else:
        told, verdict = f"{said}, other bytes", Verdict.IGNORED
    findings.add("read_back", "a request for the same bytes", told, verdict)
