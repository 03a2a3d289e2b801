"""What an S3 store tells of its bucket: whether it keeps versions, and whether it can lock objects."""

from collections.abc import Awaitable, Callable
from http import HTTPStatus

from agent.core.commissioning import Verdict
from agent.core.errors import StoreError
from agent.stores.answer import Answer
from agent.stores.probes.findings import Findings
from agent.stores.s3_answer import children, document, error_code, text_of

_MODES = frozenset({"GOVERNANCE", "COMPLIANCE"})


async def ask_about_bucket(findings: Findings, bucket: str, ask: Callable[[str, str], Awaitable[Answer]]) -> None:
    """Ask both; a store that does not say is no fault: stations need no right to ask."""
    versions = await ask("GET", f"{bucket}?versioning=")
    findings.add("versioning", "a question about the bucket's versions", *_versioning(versions))
    lock = await ask("GET", f"{bucket}?object-lock=")
    findings.add("object_lock", "a question about the bucket's object lock", *_object_lock(lock))


def _versioning(answer: Answer) -> tuple[str, Verdict]:
    if answer.status != HTTPStatus.OK:
        return f"{answer.status}", Verdict.UNKNOWN
    try:
        status = text_of(document(answer.body, "VersioningConfiguration", ""), "Status")
    except StoreError:
        return "no answer that can be read", Verdict.UNKNOWN
    return ("on", Verdict.HOLDS) if status == "Enabled" else ("off", Verdict.ABSENT)


def _object_lock(answer: Answer) -> tuple[str, Verdict]:
    if answer.status == HTTPStatus.NOT_FOUND and error_code(answer.body) == "ObjectLockConfigurationNotFoundError":
        return "off", Verdict.ABSENT
    if answer.status != HTTPStatus.OK:
        return f"{answer.status}", Verdict.UNKNOWN
    try:
        node = document(answer.body, "ObjectLockConfiguration", "")
    except StoreError:
        return "no answer that can be read", Verdict.UNKNOWN
    if text_of(node, "ObjectLockEnabled") != "Enabled":
        return "off", Verdict.ABSENT
    for rule in children(node, "Rule"):
        for default in children(rule, "DefaultRetention"):
            mode, days, years = (text_of(default, name) for name in ("Mode", "Days", "Years"))
            length = f"{days} days" if days else f"{years} years"
            if mode in _MODES and (days or years).isdecimal():
                return f"on, by default {mode.lower()} for {length}", Verdict.HOLDS
    return "on, without a default retention", Verdict.HOLDS
