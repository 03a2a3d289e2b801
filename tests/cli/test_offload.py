import hashlib
import json
import os
from pathlib import Path
from typing import Any

import structlog

from agent.core.errors import ActionRefused
from agent.simulate.cards import build_card
from tests.cli.command import Here, dock_agent, has_control_codes, on_a_terminal
from tests.cli.conftest import Place, Service
from tests.cli.depot_process import depot_for

PROGRESS: dict[str, Any] = {
    "phase": "offloading", "camera": "X1", "profile": "plain-dcim", "done_bytes": 5, "total_bytes": 10,
    "rate_bytes_s": 5, "eta_s": 1.0, "spooled": 0, "confirmed": 0, "uploading": 0, "problem": None,
}  # fmt: skip


def result(state: str = "confirmed", **changed: Any) -> dict[str, Any]:
    clip = {"id": "c1", "name": "A\u2028\x85[b].MP4", "size": 10, "sha256": "ab" * 32, "state": state,
            "camera_copy": "present", "receipts": [{"store": "central", "kind": "signed", "at": "t"}]}  # fmt: skip
    whole = {"camera": "X1", "clips": [clip], "bytes": 10, "seconds": 1.0, "problems": [], "notes": [], "trial": False}
    return {"result": {**whole, "listed_whole": True, **changed}}


def test_a_folder_goes_through_the_running_service(here: Here, place: Place, service: Service, tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.mkdir()
    service.desk.steps = [PROGRESS, {**PROGRESS, "phase": "done", "confirmed": 1}, result()]
    words = ("offload", str(card), "--camera", "X1", "--profile", "plain-dcim", "--config", str(place.config))
    ended = here(*words, "--wait", "3")
    assert (ended.code, ended.err) == (0, "")
    request = {"path": str(card), "profile": "plain-dcim", "camera": "X1", "actor": "sgt.miller", "wait_s": 3.0}
    assert service.desk.asked == [("offload", request)]
    lines = ended.out.splitlines()
    assert lines[1].split() == ["A\\u2028\\x85[b].MP4", "10", "B", "confirmed", "present", "central", "(signed)"]
    assert lines[2] == "All confirmed: 1 clip (10 B)."


def test_json_is_exactly_one_object_and_the_code_tells_the_state(
    here: Here, place: Place, service: Service, tmp_path: Path
) -> None:
    service.desk.steps = [PROGRESS, result("spooled", problems=["central: away"])]
    ended = here("offload", str(tmp_path), "--json", "--config", str(place.config))
    assert (ended.code, ended.err) == (75, "")
    assert len(ended.out.splitlines()) == 1
    assert json.loads(ended.out) == result("spooled", problems=["central: away"])["result"]


def test_a_quarantined_clip_fails_and_the_problem_is_told(
    here: Here, place: Place, service: Service, tmp_path: Path
) -> None:
    service.desk.steps = [result("quarantined", problems=["clip c1: read\nerror"])]
    ended = here("offload", str(tmp_path), "--config", str(place.config))
    assert (ended.code, ended.err) == (1, "dock-agent: clip c1: read\\nerror\n")
    assert "keep the camera for examination" in ended.out


def test_a_camera_that_goes_during_the_listing_is_no_success(
    here: Here, place: Place, service: Service, tmp_path: Path
) -> None:
    service.desk.steps = [PROGRESS, result(listed_whole=False, problems=["The camera was taken out."])]
    ended = here("offload", str(tmp_path), "--config", str(place.config))
    assert (ended.code, "Not every file was seen" in ended.out) == (1, True)


def test_a_refusal_on_the_way_is_told(here: Here, place: Place, service: Service, tmp_path: Path) -> None:
    service.desk.steps = [PROGRESS, ActionRefused("The folder is empty", hint="Mount it.")]
    ended = here("offload", str(tmp_path), "--config", str(place.config))
    assert (ended.code, ended.out, ended.err) == (1, "", "dock-agent: The folder is empty. Mount it.\n")


def test_an_answer_without_a_result_is_no_success(here: Here, place: Place, service: Service, tmp_path: Path) -> None:
    service.desk.steps = [PROGRESS]
    ended = here("offload", str(tmp_path), "--config", str(place.config))
    assert (ended.code, ended.out) == (1, "")
    assert "The offload ended without a result." in ended.err


def test_a_terminal_sees_the_progress(place: Place, service: Service, tmp_path: Path) -> None:
    service.desk.steps = [PROGRESS, {**PROGRESS, "phase": "uploading", "spooled": 1, "confirmed": 2}, result()]
    said = on_a_terminal("offload", str(tmp_path), "--config", str(place.config), NO_COLOR="1")
    assert "2 of 3 clips confirmed" in said
    assert "All confirmed: 1 clip (10 B)." in said


def test_what_is_no_folder_is_a_usage_error(here: Here, place: Place) -> None:
    for wrong in ("/nowhere", str(place.config)):
        ended = here("offload", wrong, "--config", str(place.config))
        assert (ended.code, ended.out) == (2, "")
    assert not place.state.exists()


def test_a_card_goes_alone_through_the_whole_chain_into_a_real_depot(tmp_path: Path, here: Here) -> None:
    truth = build_card(tmp_path / "card", "plain-dcim", serial="X60A0001", seed=1, clips=2, clip_bytes=100_000)
    (tmp_path / "card" / "DCIM" / os.fsdecode(b"odd\xff[red]\x1b.MP4")).write_bytes(b"odd")
    with depot_for(tmp_path) as (config, depot):
        ended = dock_agent("offload", str(tmp_path / "card"), "--json", "--config", str(config))
        assert (ended.code, ended.err) == (0, "")
        said = json.loads(ended.out)
        again = here("offload", str(tmp_path / "card"), "--config", str(config))
        structlog.reset_defaults()
    assert {clip["sha256"] for clip in said["clips"]} >= {file.sha256 for file in truth.files}
    assert {"hex": b"DCIM/odd\xff[red]\x1b.MP4".hex()} in [clip["name"] for clip in said["clips"]]
    assert {clip["state"] for clip in said["clips"]} == {"confirmed"}
    assert {receipt["kind"] for clip in said["clips"] for receipt in clip["receipts"]} == {"signed"}
    assert {path.name for path in (depot / "objects").iterdir()} == {clip["sha256"] for clip in said["clips"]}
    assert again.code == 0
    assert not has_control_codes(again.out)
    assert "TRIAL" in again.out
    config_words = ("--config", str(config))
    assert here("custody", "verify", *config_words).code == 0
    assert len(json.loads(here("clips", "--json", *config_words).out)) == len(said["clips"])
    found = json.loads(here("depot", "ls", "--dir", str(depot), "--json").out)
    assert {(row["sha256"], row["camera"]) for row in found} == {(c["sha256"], "X60A0001") for c in said["clips"]}
    assert here("depot", "verify", "--dir", str(depot)).code == 0
    victim = depot / "objects" / said["clips"][0]["sha256"]
    victim.chmod(0o600)
    victim.write_bytes(b"altered")
    broken = here("depot", "verify", "--dir", str(depot), "--json")
    assert (broken.code, len(json.loads(broken.out)["problems"])) == (1, 1)
    assert "Keep the depot as it is" in broken.err


def test_the_same_bytes_on_a_second_camera_have_a_line_of_their_own_in_the_depot(here: Here, tmp_path: Path) -> None:
    for serial in ("X60A0001", "X60A0002"):
        build_card(tmp_path / serial, "plain-dcim", serial=serial, seed=1, clips=1, clip_bytes=100_000)
    (first,) = (tmp_path / "X60A0001").rglob("*.MP4")
    (second,) = (tmp_path / "X60A0002").rglob("*.MP4")
    second.write_bytes(first.read_bytes())
    with depot_for(tmp_path) as (config, depot):
        for serial in ("X60A0001", "X60A0002"):
            assert dock_agent("offload", str(tmp_path / serial), "--config", str(config)).code == 0
        found = json.loads(here("depot", "ls", "--dir", str(depot), "--json").out)
        said = here("depot", "ls", "--dir", str(depot)).out
    digest = hashlib.sha256(first.read_bytes()).hexdigest()
    rows = [row for row in found if row["sha256"] == digest]
    assert [(row["camera"], row["same_as"] is not None) for row in rows] == [("X60A0001", False), ("X60A0002", True)]
    assert "the same bytes" in said


def test_with_the_store_away_and_no_service_a_person_reads_words_and_what_to_do(tmp_path: Path) -> None:
    build_card(tmp_path / "card", "plain-dcim", serial="X60A0001", seed=1, clips=1, clip_bytes=100_000)
    with depot_for(tmp_path) as (config, _):
        pass  # it was there when the station was set up, and is not any more
    ended = dock_agent("offload", str(tmp_path / "card"), "--wait", "3", "--config", str(config))
    assert ended.code == 75
    assert "start the service or run this again" in ended.out
    assert "the upload goes on once the service runs, or this is run again." in ended.err
    assert "by itself" not in ended.out + ended.err
    assert all(line.startswith("dock-agent: ") for line in ended.err.splitlines()), ended.err


def test_a_mount_point_without_its_card_is_no_success(here: Here, place: Place, tmp_path: Path) -> None:
    card = tmp_path / "card"
    card.mkdir()
    ended = here("offload", str(card), "--config", str(place.config))
    structlog.reset_defaults()
    assert (ended.code, ended.out) == (1, f"Nothing was found under {card}: is it mounted?\n")


def test_an_unknown_profile_is_a_usage_error_that_names_those_that_are_known(
    here: Here, place: Place, tmp_path: Path
) -> None:
    build_card(tmp_path / "card", "plain-dcim", serial="X60A0001", seed=1, clips=1, clip_bytes=100_000)
    ended = here("offload", str(tmp_path / "card"), "--profile", "nope", "--config", str(place.config))
    structlog.reset_defaults()
    assert (ended.code, ended.out) == (2, "")
    assert ended.err.startswith("dock-agent: There is no profile 'nope'; known are: ")
    assert ended.err.endswith(". Name one of these, or leave --profile out.\n")


def test_with_every_store_on_this_machine_and_no_trial_it_says_that_nothing_can_be_confirmed(
    here: Here, place: Place, tmp_path: Path
) -> None:
    build_card(tmp_path / "card", "plain-dcim", serial="X60A0001", seed=1, clips=1, clip_bytes=100_000)
    (tmp_path / "evidence").mkdir()
    store = f'[[stores]]\nname = "here"\nurl = "file://{tmp_path}/evidence"\nrequire = "readback"\n'
    place.config.write_text(place.config.read_text() + store)
    ended = here("offload", str(tmp_path / "card"), "--wait", "0", "--config", str(place.config))
    structlog.reset_defaults()
    assert ended.code == 75
    (said,) = [line for line in ended.out.splitlines() if line.startswith("All safe in the spool")]
    assert "can ever be confirmed: every store is on this machine" in said
    assert "again" not in said
