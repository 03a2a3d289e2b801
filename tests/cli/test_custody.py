import json
import re
import sqlite3
from pathlib import Path

import pytest

from agent.cli.clip_life import tell
from agent.cli.custody_log import PAGE
from agent.core.custody import line_digest
from tests.cli.command import ROOT, Here, dock_agent
from tests.cli.conftest import Place, Service


def test_every_event_of_a_clips_life_has_words_of_its_own() -> None:
    custody = (ROOT / "docs/events.md").read_text("utf-8").partition("## Log events")[0]
    named = set(re.findall(r"(?m)^- `([a-z]+\.[a-z_]+)`", custody))
    lived = {name for name in named if name.partition(".")[0] in {"clip", "copy", "object"}} | {"queue.retried"}
    assert {name for name in lived if name in tell({"event": name})} == set()
    assert "queue.paused" in tell({"event": "queue.paused"})


def seize(here: Here, place: Place, *serials: str) -> None:
    """Record an event for each, while no service runs."""
    for serial in serials:
        assert here("bays", "seize", serial, "--reason", "test", "--config", str(place.config)).code == 0


def alter(place: Place, number: int, line: str) -> None:
    """Change a line behind the agent's back, as someone with the disk in hand could."""
    with sqlite3.connect(place.state / "ledger.sqlite") as ledger:
        for (trigger,) in ledger.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
            ledger.execute(f'DROP TRIGGER "{trigger}"')
        ledger.execute("UPDATE events SET line = ? WHERE seq = ?", (line, number))
    ledger.close()


def line_of(place: Place, number: int) -> str:
    with sqlite3.connect(place.state / "ledger.sqlite") as ledger:
        (line,) = ledger.execute("SELECT line FROM events WHERE seq = ?", (number,)).fetchone()
    ledger.close()
    return str(line)


def test_a_long_log_is_verified_page_by_page_through_the_service(here: Here, place: Place, service: Service) -> None:
    for number in range(PAGE + 5):
        service.desk.record("test.happened", number=str(number))
    ended = here("custody", "verify", "--json", "--config", str(place.config))
    head = line_digest(service.desk.lines[-1])
    assert (ended.code, json.loads(ended.out)) == (0, {"events": PAGE + 5, "head": head, "fault": None})


def test_a_line_that_the_service_altered_is_found(here: Here, place: Place, service: Service) -> None:
    for name in ("one", "two", "three"):
        service.desk.record("test.happened", name=name)
    service.desk.lines[1] = service.desk.lines[1].replace("two", "2")
    ended = here("custody", "verify", "--config", str(place.config))
    assert (ended.code, ended.out) == (1, "")
    assert "The custody log does not hold: event 3: it does not follow from the line before." in ended.err


def test_a_removed_line_is_found(here: Here, place: Place, service: Service) -> None:
    for name in ("one", "two", "three"):
        service.desk.record("test.happened", name=name)
    del service.desk.lines[1]
    ended = here("custody", "verify", "--json", "--config", str(place.config))
    assert (ended.code, json.loads(ended.out)["fault"]) == (1, {"seq": 2, "reason": "its number is 3"})


def test_the_log_of_a_stopped_station_is_verified(here: Here, place: Place) -> None:
    seize(here, place, "X1", "X2")
    ended = here("custody", "verify", "--config", str(place.config))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out == f"The custody log holds: 2 events, head {line_digest(line_of(place, 2))}.\n"


@pytest.mark.parametrize("altered", ['{"seq":1}', "no JSON", "{}", '{"é":1}', "[1]"])
def test_an_altered_line_on_the_disk_is_found_whatever_it_holds(here: Here, place: Place, altered: str) -> None:
    seize(here, place, "X1", "X2")
    alter(place, 1, altered)
    ended = here("custody", "verify", "--json", "--config", str(place.config))
    assert (ended.code, json.loads(ended.out)["fault"]["seq"]) == (1, 1)


def test_an_event_with_a_foreign_letter_does_not_hold(here: Here, place: Place) -> None:
    seize(here, place, "X1", "X2")
    alter(place, 1, line_of(place, 1).replace("test", "tést"))
    ended = here("custody", "verify", "--json", "--config", str(place.config))
    assert (ended.code, json.loads(ended.out)["fault"]["seq"]) == (1, 2)


def test_the_exact_lines_are_exported_and_never_over_another_file(here: Here, place: Place, tmp_path: Path) -> None:
    seize(here, place, "X1", "X2")
    target = tmp_path / "log.jsonl"
    words = ("custody", "export", "--output", str(target), "--config", str(place.config))
    assert here(*words).out == f"2 events written to {target}.\n"
    assert target.read_text() == f"{line_of(place, 1)}\n{line_of(place, 2)}\n"
    assert target.stat().st_mode & 0o777 == 0o600
    target.chmod(0o600)
    target.write_text("evidence")
    refused = here(*words)
    assert (refused.code, target.read_text()) == (1, "evidence")
    assert refused.err == f"dock-agent: {target} exists already; give another name.\n"
    assert sorted(p.name for p in tmp_path.iterdir()) == ["agent.toml", "log.jsonl", "state"]


def test_the_export_to_stdout_holds_nothing_but_the_lines(here: Here, place: Place) -> None:
    seize(here, place, "X1")
    ended = dock_agent("custody", "export", "--config", str(place.config))
    assert (ended.code, ended.out, ended.err) == (0, f"{line_of(place, 1)}\n", "")


def test_a_clip_tells_its_life_in_plain_words(here: Here, place: Place, service: Service) -> None:
    desk, digest = service.desk, "ab" * 32
    desk.record("object.proved", sha256=digest, store="central", kind="signed", at="t1")
    desk.record("clip.listed", clip="c1", camera="X1", path_hex=b"DCIM/\x1bA.MP4".hex(), at="t2")
    desk.record("clip.listed", clip="c2", camera="X1", path_hex="41", at="t3")
    desk.record("clip.spooled", clip="c1", sha256=digest, at="t4")
    desk.record("clip.invented_later", clip="c1", at="t5")
    ended = here("custody", "show", "c1", "--config", str(place.config))
    assert ended.out.splitlines() == [
        "clip c1",
        "t1  store central proved that it holds these bytes (signed)",
        "t2  was seen on camera X1: DCIM/\\x1bA.MP4, -",
        f"t4  was copied whole into the spool, SHA-256 {digest}",
        "t5  clip.invented_later",
    ]
    said = json.loads(here("custody", "show", "c1", "--json", "--config", str(place.config)).out)
    assert [event["seq"] for event in said["events"]] == [1, 2, 4, 5]


def test_an_unknown_clip_is_said(here: Here, place: Place, service: Service) -> None:
    assert not service.desk.asked
    ended = here("custody", "show", "c9", "--config", str(place.config))
    assert (ended.code, ended.err) == (
        1, "dock-agent: The custody log knows no clip c9. Look for its id with `dock-agent clips`.\n",
    )  # fmt: skip


def test_half_an_id_is_enough_as_long_as_it_means_one_clip(here: Here, place: Place, service: Service) -> None:
    for clip in ("c12", "c1234", "c2"):
        service.desk.record("clip.listed", clip=clip, camera="X1", path_hex="41", at="t")

    def told(beginning: str) -> tuple[int, str]:
        ended = here("custody", "show", beginning, "--config", str(place.config))
        return ended.code, ended.out.partition("\n")[0] or ended.err.rstrip("\n")

    assert told("c123") == (0, "clip c1234")
    assert told("c12") == (0, "clip c12")
    several = "dock-agent: More than one clip begins with c: c12, c1234, c2. Give more of the id."
    assert told("c") == (1, several)


@pytest.mark.parametrize("end", ["…", "..."])
def test_an_id_may_be_given_as_tables_and_documents_shorten_it(
    here: Here, place: Place, service: Service, end: str
) -> None:
    service.desk.record("clip.listed", clip="c0ffee01", camera="X1", path_hex="41", at="t")
    ended = here("custody", "show", f"c0ffee{end}", "--config", str(place.config))
    assert (ended.code, ended.out.splitlines()[0]) == (0, "clip c0ffee01")
    service.desk.asked.clear()
    here("queue", "retry", f"c0ffee{end}", "--config", str(place.config))
    here("queue", "hold", f"c0ffee{end}", "--reason", "appeal", "--config", str(place.config))
    assert [request["clip"] for _, request in service.desk.asked] == ["c0ffee", "c0ffee"]
    assert here("custody", "show", end, "--config", str(place.config)).code == 2


def test_a_ledger_that_nobody_rolled_back_is_not_to_be_accepted(here: Here, place: Place) -> None:
    seize(here, place, "X1")
    ended = here("custody", "accept", "--reason", "disk replaced", "--config", str(place.config))
    assert ended.code == 1
    assert "nothing to accept" in ended.err


def test_a_ledger_that_was_rolled_back_is_accepted_while_no_service_runs(here: Here, place: Place) -> None:
    seize(here, place, "X1")
    with sqlite3.connect(place.state / "ledger.sqlite") as ledger:
        ledger.execute("INSERT INTO doubts VALUES ('ledger_rolled_back', 'found by a start')")
    ledger.close()
    ended = here("custody", "accept", "--reason", "disk replaced", "--config", str(place.config))
    assert (ended.code, ended.err) == (0, "")
    event = json.loads(line_of(place, 2))
    assert (event["event"], event["actor"], event["reason"]) == ("ledger.accepted", "sgt.miller", "disk replaced")


def test_a_running_service_is_asked_to_accept_its_ledger(here: Here, place: Place, service: Service) -> None:
    assert here("custody", "accept", "--reason", "disk replaced", "--config", str(place.config)).code == 0
    ((action, request),) = service.desk.asked
    assert (action, request["reason"]) == ("accept-ledger", "disk replaced")
