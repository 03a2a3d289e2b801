import json
import signal
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
import structlog

from agent.cli.run import run
from agent.core.errors import StoreError
from tests.cli.command import END_S, Here, dock_agent, running
from tests.cli.conftest import Place

if TYPE_CHECKING:
    import subprocess


@pytest.fixture
def logs() -> Iterator[None]:
    """`run` sets up logging for its process, which here is the one of the tests."""
    yield
    structlog.reset_defaults()


def wait_until_ready(process: "subprocess.Popen[str]") -> None:
    """Read log lines, each one JSON object, until the service says that it is ready (the test's own time limit)."""
    assert process.stderr is not None
    events = (json.loads(line)["event"] for line in process.stderr)
    assert "agent.ready" in events, "the service ended before it was ready"


def test_the_service_answers_until_it_is_told_to_stop(here: Here, place: Place) -> None:
    config = ("--config", str(place.config))
    with running("run", *config) as process:
        wait_until_ready(process)
        assert json.loads(here("status", "--json", *config).out)["station"]["station"] == "hub7"
        assert here("bays", "seize", "X1", "--reason", "court order", *config).code == 0
        assert here("custody", "verify", *config).code == 0
        second = dock_agent("run", *config)
        assert (second.code, second.out) == (1, "")
        assert "dock-agent: The ledger in " in second.err
        process.send_signal(signal.SIGTERM)
        assert process.wait(END_S) == 0
        assert process.stdout is not None
        assert process.stdout.read() == ""
    assert not place.socket.exists()
    assert '"event":"camera.seized"' in here("custody", "export", *config).out


def test_ctrl_c_stops_the_service_as_well(place: Place) -> None:
    with running("run", "--config", str(place.config)) as process:
        wait_until_ready(process)
        process.send_signal(signal.SIGINT)
        assert process.wait(END_S) == 0
    assert not place.socket.exists()


def test_a_wrong_configuration_ends_with_78(here: Here, place: Place) -> None:
    place.config.write_text(place.config.read_text() + "[confirm]\ncopies = 0\n")
    ended = here("run", "--config", str(place.config))
    assert (ended.code, ended.out) == (78, "")
    assert ended.err.startswith(f"dock-agent: {place.config}: confirm.copies: ")


@pytest.mark.usefixtures("logs")
def test_an_address_beyond_loopback_is_a_configuration_problem(here: Here, place: Place) -> None:
    place.config.write_text(place.config.read_text().replace("127.0.0.1:0", "0.0.0.0:0"))
    ended = here("run", "--config", str(place.config))
    assert ended.code == 78
    assert "is not a loopback address" in ended.err
    assert "Traceback" not in ended.err
    assert "agent.crashed" not in ended.err


@pytest.mark.usefixtures("logs")
def test_an_address_that_cannot_be_used_is_a_configuration_problem(here: Here, place: Place) -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        taken = f"127.0.0.1:{other.getsockname()[1]}"
        place.config.write_text(place.config.read_text().replace("127.0.0.1:0", taken))
        ended = here("run", "--config", str(place.config))
    assert ended.code == 78
    assert f"Cannot listen on {taken}" in ended.err
    assert "[api] listen" in ended.err
    assert "Traceback" not in ended.err


def breaks_with(error: Exception, monkeypatch: pytest.MonkeyPatch) -> None:
    """The service ends with this as soon as it starts."""

    async def serve(*_words: Any, **_more: Any) -> NoReturn:
        raise error

    monkeypatch.setattr("agent.app.serve", serve)


@pytest.mark.usefixtures("logs")
@pytest.mark.parametrize(
    "error",
    [
        KeyError("no such bay"),
        ExceptionGroup("two", [StoreError("away"), KeyError("no such bay")]),
        OSError(28, "no such bay"),
    ],
)
def test_an_unexpected_end_leaves_its_traceback_in_the_log(
    place: Place, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], error: Exception
) -> None:
    breaks_with(error, monkeypatch)
    with pytest.raises(type(error)):
        run(place.config)
    (line,) = capsys.readouterr().err.splitlines()
    said = json.loads(line)
    assert (said["event"], said["level"]) == ("agent.crashed", "error")
    assert "Traceback" in said["exception"]
    assert "in serve" in said["exception"]
    assert "no such bay" in said["exception"]


@pytest.mark.usefixtures("logs")
@pytest.mark.parametrize("error", [StoreError("away"), ExceptionGroup("one", [StoreError("away")])])
def test_a_failure_with_words_of_its_own_is_no_crash(
    here: Here, place: Place, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    breaks_with(error, monkeypatch)
    ended = here("run", "--config", str(place.config))
    assert (ended.code, ended.err) == (1, f"dock-agent: away. {StoreError.hint}\n")


def put(file: Path, text: str) -> None:
    """Write it at once: a half of it would be a mistake of its own."""
    whole = file.with_suffix(".new")
    whole.write_text(text)
    whole.rename(file)


def test_a_service_that_waits_for_its_configuration_ends_once_it_holds(place: Place) -> None:
    good = place.config.read_text()
    place.config.unlink()
    with running("run", "--await-config", "--config", str(place.config)) as process:
        assert process.stderr is not None
        lines = (json.loads(line) for line in process.stderr)
        first = next(lines)
        assert (first["event"], f"{place.config}: there is no such file" in first["problem"]) == (
            "config.awaited",
            True,
        )
        put(place.config, good + "[confirm]\ncopies = 0\n")
        second = next(lines)
        assert (second["event"], "confirm.copies" in second["problem"]) == ("config.awaited", True)
        put(place.config, good)
        assert next(lines)["event"] == "config.found"
        assert process.wait(END_S) == 0
    assert not place.state.exists()


def test_a_configuration_that_is_there_is_not_waited_for(here: Here, place: Place) -> None:
    place.config.write_text(place.config.read_text() + "[confirm]\ncopies = 0\n")
    assert here("run", "--await-config", "--config", str(place.config)).code == 78
