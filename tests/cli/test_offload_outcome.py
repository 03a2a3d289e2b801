from typing import Any

import pytest

from agent.cli.offload_outcome import Outcome, problems, rows, sentences
from agent.core.errors import StoreError


def result(*states: str, found: tuple[str, ...] = (), **changed: Any) -> dict[str, Any]:
    clips = [
        {"name": f"{n}.MP4", "size": 1000, "state": state, "camera_copy": "present", "receipts": []}
        for n, state in enumerate(states)
    ]
    whole = {"camera": "X1", "clips": clips, "bytes": 1000 * len(clips), "problems": list(found)}
    return {**whole, "listed_whole": True, **changed}


def outcome(*states: str, found: tuple[str, ...] = (), alone: bool = False, **changed: Any) -> Outcome:
    return Outcome(result(*states, found=found, **changed), alone, "/media/card")


@pytest.mark.parametrize(
    ("states", "code"),
    [
        ((), 0),
        (("confirmed", "confirmed"), 0),
        (("confirmed", "spooled"), 75),
        (("spooled",), 75),
        (("confirmed", "listed"), 1),
        (("spooled", "quarantined"), 1),
        (("confirmed", "lost"), 1),
        (("confirmed", "a state of a later version"), 1),
    ],
)
def test_only_clips_that_are_all_confirmed_end_with_0(states: tuple[str, ...], code: int) -> None:
    assert outcome(*states).code == code


@pytest.mark.parametrize("found", [(), ("The camera was taken out.",)])
@pytest.mark.parametrize("whole", [False, None])
@pytest.mark.parametrize("states", [(), ("confirmed",), ("spooled",)])
def test_an_unfinished_listing_never_ends_with_0(
    states: tuple[str, ...], whole: bool | None, found: tuple[str, ...]
) -> None:
    broken = outcome(*states, found=found, listed_whole=whole)
    assert broken.code == 1
    assert sentences(broken)[0] == "Not every file was seen: keep the camera as it is, and run this again."


def test_a_refused_link_on_an_empty_card_is_said_and_is_no_failure() -> None:
    odd = outcome(found=("left on the camera: 1 symlink\n",))
    assert (odd.code, sentences(odd)[0]) == (0, "There are no clips here.")
    assert problems(odd) == ["left on the camera: 1 symlink\\n"]


def test_a_wholly_empty_place_is_no_success_because_its_card_may_not_be_mounted() -> None:
    empty = Outcome(result(blank=True), alone=True, path="/media/ca\nrd")
    assert (empty.code, sentences(empty)) == (1, ["Nothing was found under /media/ca\\nrd: is it mounted?"])


def test_a_place_that_was_empty_at_first_and_then_gave_a_clip_counts_by_its_clip() -> None:
    assert outcome("confirmed", blank=True).code == 0


def test_a_profile_that_does_not_exist_is_a_usage_error_and_nothing_is_said_about_files() -> None:
    wrong = outcome(found=("There is no profile 'nope'.",), listed_whole=False, unknown_profile=True)
    assert (wrong.code, sentences(wrong)) == (2, [])
    assert problems(wrong) == ["There is no profile 'nope'."]


def test_where_nothing_can_ever_be_confirmed_nobody_is_told_to_run_it_again() -> None:
    stuck = outcome("spooled", never="every store is on this machine: add one on another")
    assert stuck.code == 75
    (said,) = sentences(stuck)
    assert said.startswith("All safe in the spool: 1 clip (1.0 kB); none of it can ever be confirmed: every store is ")


@pytest.mark.parametrize(
    ("alone", "then"), [(True, "start the service"), (False, "goes on with the uploads by itself")]
)
def test_clips_that_wait_in_the_spool_say_who_goes_on(alone: bool, then: str) -> None:
    (said,) = sentences(outcome("spooled", "confirmed", alone=alone))
    assert said.startswith("All safe in the spool: 2 clips (2.0 kB); 1 not confirmed yet: ")
    assert then in said


def test_where_no_service_runs_nothing_is_said_to_go_on_by_itself() -> None:
    told = (f"central: It does not answer. {StoreError.hint}",)
    assert "by itself" in problems(outcome("spooled", found=told))[0]
    (said,) = problems(outcome("spooled", found=told, alone=True))
    assert "by itself" not in said
    assert "the upload goes on once the service runs, or this is run again." in said


@pytest.mark.parametrize(
    ("state", "advice"),
    [("listed", "keep it, and run this again"), ("quarantined", "for examination"), ("lost", "the evidence manager")],
)
def test_each_bad_state_says_what_to_do(state: str, advice: str) -> None:
    said = sentences(outcome("confirmed", state))
    assert said[0] == "Not all is well: 1 of 2 clips (2.0 kB) confirmed, 0 safe in the spool."
    assert len(said) == 2
    assert "1 clip" in said[1]
    assert advice in said[1]


@pytest.mark.parametrize(
    ("states", "left", "said"),
    [
        (("confirmed",), 2, "All confirmed: 1 clip (1.0 kB); 2 other files that the profile does not name left on it."),
        ((), 1, "There are no clips here; 1 other file that the profile does not name left on it."),
        (("confirmed",), 0, "All confirmed: 1 clip (1.0 kB)."),
    ],
)
def test_the_outcome_counts_other_files_that_stay_on_the_camera(states: tuple[str, ...], left: int, said: str) -> None:
    ended = outcome(*states, left=left)
    assert (ended.code, sentences(ended)[0]) == (0, said)


def test_notes_and_trial_are_said_whatever_the_outcome() -> None:
    said = sentences(outcome("confirmed", notes=["not wiped (1): off"], trial=True))
    assert said == [
        "All confirmed: 1 clip (1.0 kB).",
        "note: not wiped (1): off",
        "TRIAL: a store on this machine may confirm footage. Not for evidence.",
    ]


def test_a_row_shows_receipts_and_hostile_names() -> None:
    clip = {"name": {"hex": "ff"}, "size": 5, "state": "confirmed", "camera_copy": "wipe_intended"}
    clip["receipts"] = [{"store": "central", "kind": "signed"}, {"store": "copy", "kind": "readback"}]
    assert rows(outcome(clips=[clip])) == [
        ("hex:ff", "5 B", "confirmed", "wipe intended", "central (signed), copy (readback)")
    ]
