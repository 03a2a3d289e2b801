import json
import threading

from agent.ledger.database import Database
from agent.ports import JsonObject
from tests.cli.command import Here
from tests.cli.conftest import Place, Service
from tests.fakes.desk import station_view


def drained(*waits: str) -> JsonObject:
    return station_view(drain={"actor": "x", "reason": "y", "ready": not waits, "waits": list(waits)})


def test_it_asks_the_service_and_says_when_the_machine_may_be_restarted(
    here: Here, place: Place, service: Service
) -> None:
    service.desk.station_view = drained()
    ended = here("drain", "--reason", "patches", "--config", str(place.config))
    assert (ended.code, ended.out) == (0, "Ready for reboot.\n")
    assert service.desk.asked == [("drain", {"actor": "sgt.miller", "reason": "patches"})]


def test_without_a_service_there_is_nothing_to_undo_and_nothing_is_said_of_a_reboot(here: Here, place: Place) -> None:
    ended = here("drain", "--undo", "--config", str(place.config))
    assert ended.code == 0
    assert "nothing to undo" in ended.out
    assert "reboot" not in ended.out


def test_it_waits_with_progress(here: Here, place: Place, service: Service) -> None:
    service.desk.station_view = drained("bay 3: the camera is being cleared")

    def end() -> None:
        service.desk.station_view = drained()

    timer = threading.Timer(1.0, end)
    timer.start()
    try:
        ended = here("drain", "--config", str(place.config))
    finally:
        timer.join()
    assert (ended.code, ended.out) == (0, "Ready for reboot.\n")
    assert ended.err.count("dock-agent: waiting: bay 3: the camera is being cleared\n") == 1


def test_a_station_that_does_not_come_to_rest_is_no_station_to_restart(
    here: Here, place: Place, service: Service
) -> None:
    service.desk.station_view = drained("bay 3: the camera is being cleared")
    ended = here("drain", "--wait", "0", "--json", "--config", str(place.config))
    assert ended.code == 1
    assert json.loads(ended.out) == {
        "running": True,
        "ready": False,
        "waits": ["bay 3: the camera is being cleared"],
    }
    assert "Do not restart it yet" in ended.err


def test_somebody_elses_undo_is_noticed(here: Here, place: Place, service: Service) -> None:
    service.desk.station_view = station_view()
    ended = here("drain", "--wait", "0", "--config", str(place.config))
    assert ended.code == 1
    assert "undone" in ended.err


def test_it_can_be_undone(here: Here, place: Place, service: Service) -> None:
    ended = here("drain", "--undo", "--config", str(place.config))
    assert ended.code == 0
    assert service.desk.asked == [("undrain", {"actor": "sgt.miller", "reason": "restart"})]


def test_without_a_service_the_machine_may_be_restarted(here: Here, place: Place) -> None:
    ended = here("drain", "--config", str(place.config))
    assert (ended.code, ended.err) == (0, "")
    assert "Ready for reboot." in ended.out
    assert not place.state.exists()


def test_not_while_a_single_offload_works_with_the_ledger(here: Here, place: Place) -> None:
    database = Database.open(place.state / "ledger.sqlite")
    try:
        ended = here("drain", "--json", "--config", str(place.config))
    finally:
        database.close()
    assert (ended.code, ended.out) == (1, "")
    assert "in use by another process" in ended.err
    assert here("drain", "--config", str(place.config)).code == 0
