import json
import os
from pathlib import Path
from typing import Any

import pytest

from agent.core.profile import Role
from agent.simulate.cards import CARD_KINDS, build_card
from tests.cli.command import ROOT, Here, has_control_codes

PROFILES = ROOT / "config" / "profiles"


def told(here: Here, profile: str, card: Path, *more: str) -> tuple[int, dict[str, Any]]:
    ended = here("profile", "test", str(PROFILES / f"{profile}.toml"), str(card), "--json", *more)
    return ended.code, json.loads(ended.out)


@pytest.mark.parametrize("kind", [kind for kind in CARD_KINDS if kind != "odd"])
def test_each_bundled_profile_takes_exactly_what_is_evidence_on_its_card(here: Here, tmp_path: Path, kind: str) -> None:
    truth = build_card(tmp_path / "card", kind, serial="CAM00001", seed=1, clips=3, clip_bytes=100_000)
    code, view = told(here, truth.profile_name, tmp_path / "card")
    assert code == 0, view["findings"]
    roles = {each["name"]: each["role"] for each in view["files"]}
    assert roles == {file.path.decode(): file.role.value for file in truth.files}
    assert {e["name"] for e in view["files"] if e["event"]} >= {
        f.path.decode() for f in truth.files if f.event and f.role is Role.CLIP
    }


def test_what_would_be_wiped_is_said_and_nothing_is(here: Here, tmp_path: Path) -> None:
    truth = build_card(tmp_path / "card", "plain-dcim", serial="CAM00001", seed=1, clips=2, clip_bytes=100_000)
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "card").rglob("*")}
    code, view = told(here, "plain-dcim", tmp_path / "card", "--time-zone", "Europe/London")
    assert (code, view["fits"], view["serial"]) == (0, True, "CAM00001")
    wiped = {each["name"] for each in view["files"] if each["would_be_wiped"]}
    assert wiped == {f.path.decode() for f in truth.files if f.role in (Role.CLIP, Role.SIDECAR)}
    gps = next(each for each in view["files"] if each["name"].endswith(".GPS"))
    assert gps["belongs_to"] == [gps["name"].replace(".GPS", ".MP4")]
    clip = next(each for each in view["files"] if each["role"] == "clip")
    assert clip["started_at"].endswith("Z")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "card").rglob("*")} == before


def test_a_profile_that_came_with_the_agent_is_found_by_its_name(here: Here, tmp_path: Path) -> None:
    build_card(tmp_path / "card", "plain-dcim", serial="CAM00001", seed=1, clips=2, clip_bytes=100_000)
    ended = here("profile", "test", "plain-dcim", str(tmp_path / "card"))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.endswith("The profile plain-dcim fits this card.\n")


def test_a_name_that_is_none_is_told_with_those_that_are(here: Here, tmp_path: Path) -> None:
    ended = here("profile", "test", "plain-dcm", str(tmp_path))
    assert (ended.code, ended.out) == (2, "")
    assert "no profile of this name came with the agent" in ended.err
    assert "plain-dcim" in ended.err


def test_the_wrong_profile_does_not_fit_and_says_why(here: Here, tmp_path: Path) -> None:
    build_card(tmp_path / "card", "plain-dcim", serial="CAM00001", seed=1, clips=2, clip_bytes=100_000)
    ended = here("profile", "test", str(PROFILES / "blackvue-record.toml"), str(tmp_path / "card"))
    assert ended.code == 1
    assert "problem: what [match] paths names is not on the card" in ended.out
    assert "problem: no file is a clip" in ended.out
    assert "problem: looks like footage, and the profile does not take it (2: " in ended.out
    assert ended.out.endswith("The profile blackvue-record does not fit this card.\n")


def test_a_hostile_card_is_told_in_plain_characters(here: Here, tmp_path: Path) -> None:
    build_card(tmp_path / "card", "odd", serial="CAM00001", seed=1, clips=2, clip_bytes=100_000)
    (tmp_path / "card" / "DCIM" / "bad\x1b[31m.MP4").write_bytes(b"x")
    (Path(os.fsdecode(bytes(tmp_path / "card" / "DCIM") + b"/\xff.MP4"))).write_bytes(b"x")
    ended = here("profile", "test", str(PROFILES / "plain-dcim.toml"), str(tmp_path / "card"))
    assert ended.code == 1
    assert not has_control_codes(ended.out)
    code, view = told(here, "plain-dcim", tmp_path / "card")
    assert code == 1
    assert "not_read" in [finding["code"] for finding in view["findings"]]
    assert {"hex": (b"DCIM/\xff.MP4").hex()} in [each["name"] for each in view["files"]]


def test_a_profile_with_mistakes_is_a_matter_of_configuration(here: Here, tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text('[profile]\nname = "mine"\n')
    (tmp_path / "card").mkdir()
    ended = here("profile", "test", str(file), str(tmp_path / "card"))
    assert (ended.code, ended.out) == (78, "")
    assert f"dock-agent: {file}: clips: " in ended.err


def test_a_card_that_is_not_there_is_told(here: Here, tmp_path: Path) -> None:
    ended = here("profile", "test", str(PROFILES / "plain-dcim.toml"), str(tmp_path / "none"))
    assert (ended.code, ended.out) == (1, "")
    assert "cannot be read" in ended.err


def test_an_unknown_zone_is_a_matter_of_usage(here: Here, tmp_path: Path) -> None:
    words = ("--time-zone", "Europe/Nowhere")
    assert here("profile", "test", str(PROFILES / "plain-dcim.toml"), str(tmp_path), *words).code == 2
