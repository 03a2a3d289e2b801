import json
import time

import pytest

from agent.ports import JsonObject
from tests.cli.command import Here
from tests.cli.conftest import Place, Service

CLIP: JsonObject = {
    "id": "c1", "camera": "X1", "name": "[bold]A\x1b.MP4", "size": 1_500_000, "state": "spooled",
    "camera_copy": "wipe_intended", "event": True, "requested": False, "hold": "sgt: case", "problem": None,
}  # fmt: skip


def test_clips_are_listed_with_what_is_special(here: Here, place: Place, service: Service) -> None:
    service.desk.clip_views = [{**CLIP}, {**CLIP, "id": "c2", "name": {"hex": "ff"}, "state": "lost"}]
    lines = here("clips", "--config", str(place.config)).out.splitlines()
    assert lines[1].split() == [
        *("c1", "X1", "[bold]A\\x1b.MP4", "1.5", "MB", "spooled", "wipe", "intended"),
        *("event;", "on", "hold:", "sgt:", "case"),
    ]
    assert lines[2].split()[2] == "hex:ff"


@pytest.mark.parametrize(
    ("words", "found"),
    [([], ["c1", "c2"]), (["--state", "lost"], ["c2"]), (["--camera", "X9"], []), (["--limit", "1"], ["c1"])],
)
def test_clips_can_be_chosen(here: Here, place: Place, service: Service, words: list[str], found: list[str]) -> None:
    service.desk.clip_views = [{**CLIP}, {**CLIP, "id": "c2", "state": "lost"}]
    ended = here("clips", "--json", *words, "--config", str(place.config))
    assert [clip["id"] for clip in json.loads(ended.out)] == found


def test_a_state_that_does_not_exist_is_refused(here: Here, place: Place) -> None:
    assert here("clips", "--state", "asleep", "--config", str(place.config)).code == 2


def test_without_service_and_records_it_says_so_and_makes_nothing(here: Here, place: Place) -> None:
    ended = here("clips", "--config", str(place.config))
    assert (ended.code, ended.out) == (1, "")
    assert "This station has recorded nothing yet" in ended.err
    assert not place.state.exists()


def test_the_queue_shows_progress_and_problems(here: Here, place: Place, service: Service) -> None:
    digest = "ab" * 32
    service.desk.queue_views = [
        {"sha256": digest, "clip": "c1", "store": "central", "camera": "X1", "urgent": True, "size": 200,
         "state": "uploading", "attempts": 1, "problem": None, "why": None, "sent_bytes": 50},
        {"sha256": digest, "clip": "c2", "store": "copy", "state": "held_back", "attempts": 3, "why": "no\nroom"},
    ]  # fmt: skip
    lines = here("queue", "list", "--config", str(place.config)).out.splitlines()
    assert lines[1].split() == ["c1", "central", "uploading,", "urgent", "25%", "X1", "200", "B", "1", "-"]
    assert lines[2].split() == ["c2", "copy", "held", "back", "-", "-", "3", "no\\nroom"]
    assert json.loads(here("queue", "list", "--json", "--config", str(place.config)).out) == service.desk.queue_views


def test_the_queue_tells_the_next_try_on_the_local_clock_and_in_json_exactly(
    here: Here, place: Place, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    at = "2026-11-27T04:45:57.072157+00:00"
    why = f"Store central is left alone until {at}: no connection"
    service.desk.queue_views = [{"clip": "c1", "store": "central", "state": "waiting", "why": why, "next_at": at}]
    monkeypatch.setenv("TZ", "EST5")
    time.tzset()
    try:
        ended = here("queue", "list", "--config", str(place.config))
        assert "left alone until 2026-11-26 23:45 EST: no connection" in ended.out
        assert json.loads(here("queue", "list", "--json", "--config", str(place.config)).out)[0]["why"] == why
    finally:
        monkeypatch.undo()
        time.tzset()


def test_a_long_queue_is_shown_in_part_and_the_rest_is_counted(here: Here, place: Place, service: Service) -> None:
    row: JsonObject = {"clip": "c1", "store": "central", "state": "waiting", "why": "its turn is next"}
    service.desk.queue_views = [row] * 70
    service.desk.station_view["queue"] = {"uploads": 100_000, "held_back": 0, "set_aside": 0}
    lines = here("queue", "list", "--config", str(place.config)).out.splitlines()
    assert (len(lines), lines[-1]) == (52, "and 99,950 more")
    ended = here("queue", "list", "--json", "--limit", "60", "--config", str(place.config))
    assert (len(json.loads(ended.out)), ended.err) == (60, "and 99,940 more\n")
    ended = here("queue", "list", "--limit", "71", "--config", str(place.config))
    assert "more" not in ended.out
