"""A mistake in the configuration keeps nobody from the service that runs."""

import json
from pathlib import Path

import pytest

from agent.config.whereabouts import find_socket
from tests.cli.command import Here
from tests.cli.conftest import Place, Service

BAD_VALUE = '[bandwidth]\nlimit = "80 MB/s"\n'
NO_TOML = "[bandwidth]\nlimit = 80 MB/s\n"


def spoil(place: Place, mistake: str) -> None:
    place.config.write_text(place.config.read_text() + mistake)


@pytest.mark.parametrize("mistake", [BAD_VALUE, NO_TOML, "[station]\n", "[nonsense]\n"])
def test_a_seizure_reaches_the_service_whatever_has_become_of_its_files(
    here: Here, place: Place, service: Service, mistake: str
) -> None:
    spoil(place, mistake)
    ended = here("bays", "seize", "X1", "--reason", "court", "--config", str(place.config))
    assert ended.code == 0
    (asked,) = service.desk.asked
    assert asked == ("seize", {"actor": "sgt.miller", "reason": "court", "camera": "X1"})
    first, last = ended.err.splitlines()[0], ended.err.splitlines()[-1]
    assert first.startswith(f"dock-agent: {place.config}: ")
    assert "Warning" in last


@pytest.mark.parametrize(
    "words",
    [
        ("status", "--json"),
        ("clips", "--json"),
        ("bays", "list", "--json"),
        ("queue", "list", "--json"),
        ("custody", "export"),
    ],
)
@pytest.mark.usefixtures("service")
def test_each_verb_that_asks_the_service_still_gets_its_answer(
    here: Here, place: Place, words: tuple[str, ...]
) -> None:
    good = here(*words, "--config", str(place.config))
    spoil(place, BAD_VALUE)
    ended = here(*words, "--config", str(place.config))
    assert (ended.code, ended.out) == (0, good.out)
    assert "bandwidth.limit" in ended.err


@pytest.mark.usefixtures("service")
def test_a_mistake_in_conf_d_hides_nothing_either(here: Here, place: Place) -> None:
    (place.config.parent / "conf.d").mkdir()
    (place.config.parent / "conf.d" / "new.toml").write_bytes(b"\xff = [")
    ended = here("status", "--json", "--config", str(place.config))
    assert json.loads(ended.out)["running"] is True
    assert "new.toml" in ended.err


@pytest.mark.parametrize("words", [("status",), ("bays", "seize", "X1", "--reason", "court")])
def test_without_a_service_the_mistake_ends_it_and_nothing_is_made(
    here: Here, place: Place, words: tuple[str, ...]
) -> None:
    spoil(place, BAD_VALUE)
    ended = here(*words, "--config", str(place.config))
    assert (ended.code, ended.out) == (78, "")
    assert "Warning" not in ended.err
    assert not place.state.exists()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ('[station]\nstate_dir = "s"\n[x\n', "s/api.sock"),
        ('[station]\nstate_dir = "s"\n[api]\nsocket = "run/a.sock"\nlisten = no\n', "s/api.sock"),
        ('[api]\nsocket = "run/a.sock"\n[station]\nid = \n', "run/a.sock"),
        ("[station]\nstate_dir = 5\n", None),
        ("station = 5\n", None),
        ('[station\nstate_dir = "s"\n', None),
    ],
)
def test_as_much_is_read_as_can_be(tmp_path: Path, text: str, found: str | None) -> None:
    file = tmp_path / "agent.toml"
    file.write_text(text)
    assert find_socket(file) == (None if found is None else tmp_path / found)


def test_a_file_that_is_not_there_tells_nothing(tmp_path: Path) -> None:
    assert find_socket(tmp_path / "agent.toml") is None
