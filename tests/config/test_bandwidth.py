"""Limits of bandwidth in the configuration."""

import re
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from agent.app import check
from agent.config import ConfigErrors, load_config
from agent.config.adapters import bandwidth_policy
from agent.config.restart import refuse_what_needs_a_restart
from agent.core.bandwidth_policy import DAY_MIN, Hours, Timetable

DOCS = Path(__file__).parents[2] / "docs"
STATION = '[station]\nid = "hub7"\nstate_dir = "state"\ntime_zone = "Europe/London"\n'
STORE = '[[stores]]\nname = "central"\nurl = "tus+https://store.example/files/"\nrequire = "readback"\n'
FOLDER = '[[stores]]\nname = "folder"\nurl = "file:///srv/evidence"\nrequire = "readback"\n'
HOURS = '[[bandwidth.hours]]\ndays = ["mon", "sun"]\nfrom = "22:00"\nto = "06:30"\nlimit = "0"\n'


@dataclass
class Files:
    """The main file, written anew each time."""

    main: Path

    def write(self, text: str) -> Path:
        self.main.write_text(STATION + text)
        return self.main


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path / "agent.toml")


def mistakes(file: Path) -> dict[str, str]:
    with pytest.raises(ConfigErrors) as caught:
        load_config(file)
    return {p.key: p.reason for p in caught.value.problems}


def test_without_a_word_nothing_is_limited(files: Files) -> None:
    policy = bandwidth_policy(load_config(files.write(STORE)))
    assert (policy.station, policy.stores) == (Timetable(), {"central": Timetable()})


def test_making_room_for_others_is_off_until_somebody_turns_it_on(files: Files) -> None:
    assert not bandwidth_policy(load_config(files.write(STORE))).yields
    assert bandwidth_policy(load_config(files.write("[bandwidth]\nyield_to_others = true\n"))).yields
    assert "bandwidth.yield_to_others" in mistakes(files.write('[bandwidth]\nyield_to_others = "yes"\n'))


def test_station_and_stores_have_limits_and_hours_of_their_own(files: Files) -> None:
    text = f"""[bandwidth]
limit = "20 Mbit/s"
{HOURS}
[[bandwidth.hours]]
from = "18:00"
to = "24:00"
limit = "none"
{STORE}limit = "10 Mbit/s"
[[stores.hours]]
days = ["sat"]
from = "00:00"
to = "12:00"
limit = "64 kbit/s"
{FOLDER}"""
    policy = bandwidth_policy(load_config(files.write(text)))
    assert policy.zone == ZoneInfo("Europe/London")
    assert policy.station == Timetable(
        2_500_000,
        (
            Hours(frozenset({0, 6}), 22 * 60, 6 * 60 + 30, 0),
            Hours(frozenset(range(7)), 18 * 60, DAY_MIN, None),
        ),
    )
    assert policy.stores == {
        "central": Timetable(1_250_000, (Hours(frozenset({5}), 0, 12 * 60, 8_000),)),
    }, "a directory is not reached through the station's line"


def test_every_mistake_is_told_with_its_key(files: Files) -> None:
    text = """[bandwidth]
limit = "20 MB/s"
speed = 1
[[bandwidth.hours]]
days = ["monday"]
from = "8:00"
to = "24:01"
limit = 5
[[bandwidth.hours]]
days = []
from = "24:00"
to = "06:00"
"""
    found = mistakes(files.write(text))
    assert found.keys() == {
        "bandwidth.limit",
        "bandwidth.speed",
        "bandwidth.hours.0.days.0",
        "bandwidth.hours.0.from",
        "bandwidth.hours.0.to",
        "bandwidth.hours.0.limit",
        "bandwidth.hours.1.days",
        "bandwidth.hours.1.from",
        "bandwidth.hours.1.limit",
    }
    assert found["bandwidth.limit"].startswith("'20 MB/s' is no limit; write for example \"5 Mbit/s\"")
    assert found["bandwidth.hours.0.from"] == "'8:00' is no time of the day; write for example \"08:00\""


def test_hours_that_begin_when_they_end_are_refused(files: Files) -> None:
    found = mistakes(files.write('[[bandwidth.hours]]\nfrom = "08:00"\nto = "08:00"\nlimit = "0"\n'))
    assert "a whole day is" in found["bandwidth.hours.0"]


@pytest.mark.parametrize("more", ['limit = "5 Mbit/s"', '[[stores.hours]]\nfrom = "08:00"\nto = "09:00"\nlimit = "0"'])
def test_a_limit_of_a_directory_is_refused_instead_of_ignored(files: Files, more: str) -> None:
    assert "at its own speed" in mistakes(files.write(FOLDER + more))["stores.0.limit"]


def test_the_example_of_the_documentation_is_a_good_one(files: Files) -> None:
    (block,) = re.findall(r"```toml\n(.*?)```", (DOCS / "bandwidth.md").read_text("utf-8"), re.DOTALL)
    head, rest = '[station]\nid = "hub7"\nstate_dir = "state"\n', block.removeprefix("[station]\n")
    files.main.write_text(head + rest.replace('name = "central"', 'name = "central"\nrequire = "readback"'))
    policy = bandwidth_policy(load_config(files.main))
    assert [hours.limit for hours in policy.station.hours] == [625_000, 0]
    assert policy.stores["central"].at(datetime(2026, 11, 28, 12, tzinfo=policy.zone)) is None  # a Saturday
    assert policy.stores["central"].at(datetime(2026, 11, 27, 12, tzinfo=policy.zone)) == 1_250_000


def test_the_example_configuration_has_limits_that_only_need_their_marks_removed(files: Files) -> None:
    text = (DOCS.parent / "config" / "agent.example.toml").read_text("utf-8")
    (block,) = re.findall(r"^# \[bandwidth\].*?(?=^\n)", text, re.DOTALL | re.MULTILINE)
    files.write("\n".join(line.removeprefix("# ") for line in block.splitlines()))
    policy = bandwidth_policy(load_config(files.main))
    assert (policy.station.limit, [hours.limit for hours in policy.station.hours]) == (2_500_000, [625_000])


def test_hours_without_a_time_zone_are_worth_a_notice(files: Files) -> None:
    def noticed() -> bool:
        return any("count as UTC" in note for note in check(files.main).notes)

    files.write(HOURS)
    assert not noticed()
    files.main.write_text(files.main.read_text().replace('time_zone = "Europe/London"\n', ""))
    assert noticed()
    files.main.write_text(files.main.read_text().replace(HOURS, '[bandwidth]\nlimit = "5 Mbit/s"\n'))
    assert not noticed()


def test_limits_may_change_while_the_agent_runs_and_the_rest_of_a_store_may_not(files: Files) -> None:
    started = load_config(files.write(STORE))
    changed = load_config(files.write(HOURS + STORE + 'limit = "5 Mbit/s"\n'))
    assert bandwidth_policy(changed) != bandwidth_policy(started)
    refuse_what_needs_a_restart(started, changed)
    other = load_config(files.write(STORE + 'limit = "5 Mbit/s"\nstall_s = 7\n'))
    with pytest.raises(ConfigErrors, match="need a restart"):
        refuse_what_needs_a_restart(started, other)
