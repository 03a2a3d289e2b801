import json
import signal
import socket

import pytest

from agent.cli.service import ServiceFailed, find_service
from tests.cli.command import END_S, Here, has_control_codes, on_a_terminal, running
from tests.cli.conftest import Place, Service
from tests.fakes.desk import bay_view, station_view


def test_without_a_service_it_says_how_to_start_one(here: Here, place: Place) -> None:
    ended = here("status", "--config", str(place.config))
    assert (ended.code, ended.out) == (1, "")
    assert "No service runs on this station. Start it with `systemctl start dock-agent`" in ended.err


def test_without_a_service_json_says_so_too(here: Here, place: Place) -> None:
    ended = here("status", "--json", "--config", str(place.config))
    assert (ended.code, json.loads(ended.out)) == (1, {"running": False})


def test_a_socket_that_a_killed_service_left_counts_as_no_service(here: Here, place: Place) -> None:
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(place.socket))
    assert place.socket.is_socket()
    assert "No service runs" in here("status", "--config", str(place.config)).err


def test_bays_stores_and_totals_are_shown(here: Here, place: Place, service: Service) -> None:
    service.desk.station_view = station_view(notices=["Bay 9: odd."])
    service.desk.station_view["stores"] = [
        {"name": "near", "require": "signed", "counts": False, "ok": False, "problem": "refused", "failures": 2}
    ]
    ended = here("status", "--config", str(place.config))
    assert (ended.code, ended.err) == (0, "")
    assert "station hub7 (0.1.0): wiping is on\n" in ended.out
    rows = [line.split() for line in ended.out.splitlines()]
    assert ["1", "empty", "empty", "-", "-"] in rows
    assert any(row[:2] == ["2", "wait"] and "X60A0002" in row for row in rows)
    assert "1.2 GB of 3.4 GB, 42.0 MB/s" in ended.out
    assert "2 failures in a row: refused (does not count: it is on this machine)" in ended.out
    assert "3 clips spooled (3.0 kB), 5 clips confirmed (50.0 kB); spool: 53.0 kB held" in ended.out
    assert "look at this: Bay 9: odd." in ended.out


def test_limits_of_bandwidth_are_shown_where_there_are_any(here: Here, place: Place, service: Service) -> None:
    assert "limit" not in here("status", "--config", str(place.config)).out
    service.desk.station_view = station_view(
        bandwidth={"limit_bits_s": 5_000_000, "until": "2026-11-27T18:00:00+00:00", "shown": "5 Mbit/s until 18:00"}
    )
    service.desk.station_view["stores"][0]["bandwidth"] = {  # type: ignore[index, call-overload]
        "limit_bits_s": 0,
        "until": None,
        "shown": "paused",
    }
    shown = here("status", "--config", str(place.config)).out
    assert "1 upload running, 5 Mbit/s until 18:00\n" in shown
    assert ["central", "signed", "ok,", "paused"] in [line.split() for line in shown.splitlines()]


def test_why_uploads_are_slow_is_shown(here: Here, place: Place, service: Service) -> None:
    assert "slowed" not in here("status", "--config", str(place.config)).out
    service.desk.station_view["stores"][0]["yielding"] = {  # type: ignore[index, call-overload]
        "limit_bits_s": 2_400_000,
        "delay_ms": 70,
        "shown": "slowed to 2.4 Mbit/s",
    }
    assert "ok, slowed to 2.4 Mbit/s" in here("status", "--config", str(place.config)).out


def test_a_trial_with_wiping_off_is_told(here: Here, place: Place, service: Service) -> None:
    service.desk.station_view = station_view(trial=True, wiping=False)
    assert "TRIAL, not for evidence; wiping is off" in here("status", "--config", str(place.config)).out


def test_json_is_one_object(here: Here, place: Place, service: Service) -> None:
    said = json.loads(here("status", "--json", "--config", str(place.config)).out)
    assert said == {"running": True, "station": service.desk.station_view, "bays": service.desk.bay_views}


def test_a_pipe_gets_no_control_codes_and_no_markup_is_obeyed(here: Here, place: Place, service: Service) -> None:
    service.desk.bay_views = [bay_view("1", camera="[red]x[/red]", reason="odd \x1b]0;title\x07 :smile:")]
    ended = here("status", "--config", str(place.config))
    assert ended.code == 0
    assert not has_control_codes(ended.out)
    assert "[red]x[/red]" in ended.out
    assert "odd \\x1b]0;title\\x07 :smile:" in ended.out


def test_a_terminal_gets_colours_as_well_as_words(place: Place, service: Service) -> None:
    service.desk.bay_views = [bay_view("1", "do not remove", camera="X\x1b[2J")]
    said = on_a_terminal("status", "--config", str(place.config))
    assert "\x1b[1;31mdo not remove" in said
    assert "\x1b[2J" not in said


def test_a_terminal_gets_no_colours_with_no_color(place: Place, service: Service) -> None:
    service.desk.bay_views = [bay_view("1", "do not remove")]
    said = on_a_terminal("status", "--config", str(place.config), NO_COLOR="1")
    assert "do not remove" in said
    assert "[31m" not in said
    assert "31;" not in said


def test_watching_through_a_pipe_gives_a_line_for_each_change(place: Place, service: Service) -> None:
    service.desk.bay_views = [bay_view("2")]
    with running("status", "--watch", "--config", str(place.config)) as process:
        assert process.stdout is not None
        assert (
            process.stdout.readline() == "bay 2: wait (copying, 4 clips left), about 3 min 10 s left, camera X60A0002\n"
        )
        service.desk.bay_views = [bay_view("2", done_bytes=2)]  # progress alone is not worth a line
        service.ring()
        service.desk.bay_views = [bay_view("2", "take", reason="all clear", until_s=None)]
        service.ring()
        assert process.stdout.readline() == "bay 2: take (all clear), camera X60A0002\n"
        process.send_signal(signal.SIGINT)
        assert process.wait(END_S) == 0


def test_watching_as_json_gives_an_object_for_each_view(place: Place, service: Service) -> None:
    with running("status", "--watch", "--json", "--config", str(place.config)) as process:
        assert process.stdout is not None
        said = json.loads(process.stdout.readline())
        assert (said["running"], said["bays"]) == (True, service.desk.bay_views)


def test_a_failing_service_is_told_with_its_log(here: Here, place: Place, service: Service) -> None:
    service.desk.failure = KeyError("secret")
    ended = here("status", "--config", str(place.config))
    assert ended.code == 1
    assert "The service answered 500 to /api/v1/station: internal error." in ended.err
    assert "secret" not in ended.err


def test_a_socket_that_one_may_not_use_is_not_taken_for_no_service(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(_socket: socket.socket, _address: str) -> None:  # to root nothing is forbidden, so it is said here
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(socket.socket, "connect", forbidden)
    with pytest.raises(ServiceFailed, match="You may not speak to the service"):
        find_service(place.socket)
