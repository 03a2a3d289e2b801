"""Every failure says who must do what."""

import inspect

import pytest

from agent.core import errors
from agent.core.errors import ActionRefused, AgentError, ConfigError, Remedy, StoreBusy

KINDS = [
    kind
    for _, kind in inspect.getmembers(errors, inspect.isclass)
    if issubclass(kind, AgentError) and kind is not AgentError
]
# Only who raises these knows what would mend them.
RAISER_KNOWS = {ActionRefused, ConfigError}


def test_no_two_errors_share_a_code() -> None:
    codes = [kind.code for kind in KINDS]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("kind", KINDS)
def test_a_code_names_a_room_and_what_happened(kind: type[AgentError]) -> None:
    room, _, what = kind.code.partition(".")
    assert room.isidentifier()
    assert what.isidentifier()


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind not in RAISER_KNOWS])
def test_an_error_tells_a_person_what_to_do_next(kind: type[AgentError]) -> None:
    assert kind("it broke").hint.endswith(".")


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_keeps_its_message_and_the_hint_of_the_moment(kind: type[AgentError]) -> None:
    error = kind("clip 7 broke", hint="Ask the sergeant.", retry_after_s=3.0)
    assert (str(error), error.hint, error.retry_after_s) == ("clip 7 broke", "Ask the sergeant.", 3.0)
    assert kind("other").hint == kind.hint
    assert kind("other").retry_after_s is None


@pytest.mark.parametrize(
    ("kind", "remedy"),
    [
        (errors.LedgerError, Remedy.HALT),
        (errors.IllegalMove, Remedy.HALT),
        (errors.SpoolFull, Remedy.RETRY),
        (errors.SpoolUnsafe, Remedy.HALT),
        (errors.SpoolPlain, Remedy.HALT),
        (errors.SpoolCorrupt, Remedy.QUARANTINE),
        (errors.CameraGone, Remedy.REDOCK),
        (errors.ClipChanged, Remedy.QUARANTINE),
        (StoreBusy, Remedy.RETRY),
        (errors.StoreRefused, Remedy.HALT),
        (errors.ReceiptInvalid, Remedy.RETRY),
    ],
)
def test_the_remedy_follows_from_the_kind(kind: type[AgentError], remedy: Remedy) -> None:
    assert kind("it broke").remedy is remedy


@pytest.mark.parametrize(("message", "said"), [("gone", "gone."), ("gone.", "gone."), ("why?", "why?")])
def test_what_is_told_to_a_person_is_a_sentence_and_what_to_do_next(message: str, said: str) -> None:
    assert AgentError(message, hint="Do this.").told() == f"{said} Do this."
    assert AgentError(message, hint="Do this.").sentence() == said
    assert AgentError(message).told() == said
