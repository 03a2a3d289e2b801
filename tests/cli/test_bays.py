import json
import os

import pytest

from agent.core.errors import ActionRefused
from tests.cli.command import Here
from tests.cli.conftest import Place, Service
from tests.fakes.desk import bay_view
from tests.ledger.stage import Stage


def test_bays_are_listed_with_their_advice(here: Here, place: Place, service: Service) -> None:
    service.desk.bay_views = [bay_view("2", seized="court order", done_bytes=5_000, total_bytes=5_000)]
    ended = here("bays", "list", "--config", str(place.config))
    assert ended.code == 0
    assert ended.out.splitlines()[1].split() == [
        *("2", "wait", "copying,", "4", "clips", "left"), "X60A0002", "(seized)", "5.0", "kB",
    ]  # fmt: skip
    assert json.loads(here("bays", "list", "--json", "--config", str(place.config)).out) == service.desk.bay_views


def test_one_bay_says_its_advice(here: Here, place: Place, service: Service) -> None:
    service.desk.bay_views.append(bay_view("3", "take, footage still aboard", reason="on the way", until_s=None))
    assert here("bays", "advice", "3", "--config", str(place.config)).out == (
        "bay 3: take, footage still aboard (on the way), camera X60A0003\n"
    )
    assert here("bays", "advice", "1", "--config", str(place.config)).out == "bay 1: empty\n"
    said = json.loads(here("bays", "advice", "2", "--json", "--config", str(place.config)).out)
    assert (said["advice"], said["until_s"]) == ("wait", 190.0)


def test_an_unknown_bay_is_refused_with_the_known_ones(here: Here, place: Place, service: Service) -> None:
    assert not service.desk.asked
    ended = here("bays", "advice", "7", "--config", str(place.config))
    assert (ended.code, ended.err) == (1, "dock-agent: There is no bay 7. Known bays: 1, 2.\n")


@pytest.mark.parametrize(
    ("words", "action", "fields"),
    [
        (["bays", "seize", "X1"], "seize", {"camera": "X1"}),
        (["bays", "release", "X1"], "release", {"camera": "X1"}),
        (["bays", "claim", "X1"], "claim", {"camera": "X1"}),
        (["bays", "free", "2"], "urgent-release", {"bay": "2"}),
        (["queue", "request", "c1"], "request", {"clip": "c1"}),
        (["queue", "hold", "c1"], "hold", {"clip": "c1"}),
        (["queue", "unhold", "c1"], "unhold", {"clip": "c1"}),
        (["queue", "prioritise", "c1"], "request", {"clip": "c1"}),
        (["queue", "pause"], "pause", {}),
        (["queue", "pause", "central"], "pause", {"store": "central"}),
        (["queue", "resume", "central"], "resume", {"store": "central"}),
        (["queue", "hold-back", "c1"], "hold-back", {"clip": "c1"}),
        (["queue", "release", "c1"], "let-go", {"clip": "c1"}),
        (["queue", "retry"], "retry", {}),
        (["queue", "retry", "c1"], "retry", {"clip": "c1"}),
        (["queue", "retry", "--store", "central"], "retry", {"store": "central"}),
    ],
)
def test_a_decision_goes_to_the_service_with_who_and_why(
    here: Here, place: Place, service: Service, words: list[str], action: str, fields: dict[str, str]
) -> None:
    ended = here(*words, "--reason", "case 12/ä", "--config", str(place.config))
    assert (ended.code, ended.out) == (0, f"{action} done\n")
    assert service.desk.asked == [(action, {"actor": "sgt.miller", "reason": "case 12/ä", **fields})]


@pytest.mark.parametrize(
    ("words", "action"),
    [
        (["queue", "resume"], "resume"),
        (["queue", "resume", "central"], "resume"),
        (["queue", "release", "c1"], "let-go"),
        (["queue", "retry"], "retry"),
    ],
)
def test_what_messages_tell_people_to_run_works_as_they_say_it(
    here: Here, place: Place, service: Service, words: list[str], action: str
) -> None:
    ended = here(*words, "--config", str(place.config))
    assert (ended.code, ended.out) == (0, f"{action} done\n")
    assert service.desk.asked[0][1]["reason"] == "asked on the command line"


def test_another_person_can_be_named(here: Here, place: Place, service: Service) -> None:
    here("bays", "claim", "X1", "--reason", "new", "--actor", "insp.jones", "--config", str(place.config))
    assert service.desk.asked[0][1]["actor"] == "insp.jones"


@pytest.mark.parametrize("reason", ["", "  ", "two\nlines", "x" * 501])
def test_a_reason_that_the_log_cannot_hold_is_refused(here: Here, place: Place, reason: str) -> None:
    assert here("bays", "seize", "X1", "--reason", reason, "--config", str(place.config)).code == 2
    assert not place.state.exists()


def test_a_refusal_of_the_service_is_told(here: Here, place: Place, service: Service) -> None:
    service.desk.failure = ActionRefused("Camera X1 is not seized.", hint="Check the serial.")
    ended = here("bays", "release", "X1", "--reason", "over", "--config", str(place.config))
    assert (ended.code, ended.err) == (1, "dock-agent: Camera X1 is not seized. Check the serial.\n")


def test_a_camera_can_be_seized_before_the_service_ever_ran(here: Here, place: Place) -> None:
    config = ("--config", str(place.config))
    ended = here("bays", "seize", "X1", "--reason", "court order 7", *config)
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.startswith("Camera X1 is seized: it will never be wiped")
    log = here("custody", "export", *config).out
    (event,) = map(json.loads, log.splitlines())
    assert (event["event"], event["camera"], event["actor"], event["reason"], event["station"]) == (
        *("camera.seized", "X1", "sgt.miller"), "court order 7", "hub7",
    )  # fmt: skip
    assert here("bays", "release", "X1", "--reason", "over", "--actor", "insp.jones", *config).code == 0
    ended_by = json.loads(here("custody", "export", *config).out.splitlines()[-1])
    assert (ended_by["event"], ended_by["camera"], ended_by["actor"], ended_by["reason"]) == (
        *("camera.released", "X1", "insp.jones", "over"),
    )
    again = here("bays", "release", "X1", "--reason", "over", *config)
    assert (again.code, "is not seized" in again.err) == (1, True)


def test_uploads_can_be_paused_and_resumed_while_no_service_runs(here: Here, place: Place) -> None:
    options = ("--reason", "line needed", "--config", str(place.config))
    ended = here("queue", "pause", *options)
    assert (ended.code, "Uploads to every store are paused" in ended.out) == (0, True)
    again = here("queue", "pause", *options)
    assert (again.code, "are paused already, by sgt.miller: line needed" in again.err) == (1, True)
    elsewhere = here("queue", "resume", "nowhere", *options)
    assert (elsewhere.code, "those to every store are" in elsewhere.err) == (1, True)
    assert here("queue", "resume", *options).code == 0
    unknown = here("queue", "pause", "nowhere", *options)
    assert (unknown.code, "There is no store nowhere" in unknown.err) == (1, True)
    assert here("queue", "hold-back", "c1", *options).code == 1
    log = here("custody", "export", "--config", str(place.config)).out
    assert [json.loads(line)["event"] for line in log.splitlines()] == ["queue.paused", "queue.resumed"]


def test_a_legal_hold_by_half_an_id_holds_also_while_no_service_runs(here: Here, place: Place) -> None:
    place.state.mkdir()
    stage = Stage(place.state / "ledger.sqlite")
    stage.listing(stage.dock(), "one")
    clip = stage.clip("one").id
    stage.close()
    options = ("--reason", "appeal", "--config", str(place.config))
    ended = here("queue", "hold", clip[:8], *options)
    assert (ended.code, ended.err) == (0, "")
    assert f"Clip {clip} is on hold" in ended.out
    stage = Stage(place.state / "ledger.sqlite")
    assert stage.clip("one").hold == "sgt.miller: appeal"
    stage.listing(stage.dock(), "one", "two")
    two = stage.clip("two").id
    stage.close()
    several = here("queue", "unhold", "c", *options)
    assert (several.code, several.out) == (1, "")
    assert clip in several.err
    assert two in several.err
    stage = Stage(place.state / "ledger.sqlite")
    assert stage.clip("one").hold == "sgt.miller: appeal"
    stage.close()


def test_a_claim_of_an_unknown_camera_says_how_to_make_it_known(here: Here, place: Place) -> None:
    ended = here("bays", "claim", "X1", "--reason", "ours", "--config", str(place.config))
    assert ended.code == 1
    assert "knows no camera 'X1'. Dock the camera once before it is claimed" in ended.err


@pytest.mark.parametrize("words", [["bays", "free", "1", "--reason", "fire"], ["queue", "retry"], ["queue", "list"]])
def test_what_needs_a_running_service_says_so(here: Here, place: Place, words: list[str]) -> None:
    ended = here(*words, "--config", str(place.config))
    assert ended.code == 1
    assert "Start it with" in ended.err
    assert not place.state.exists()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
def test_one_user_leaves_no_files_in_the_records_of_another(here: Here, place: Place) -> None:
    place.state.mkdir()
    os.chown(place.state, 12345, 12345)
    ended = here("bays", "seize", "X1", "--reason", "court order", "--config", str(place.config))
    assert (ended.code, list(place.state.iterdir())) == (1, [])
    assert f"{place.state} belongs to the user '#12345'. Run it as that user: sudo -u '#12345' dock-agent" in ended.err
