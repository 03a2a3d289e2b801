"""Learning bays at the command line. The plugs are made up here; `devices/test_port_events.py` has udev's."""

import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest

from agent.config import load_config
from agent.devices import port_events
from agent.devices.learning import PortEvent
from tests.cli.command import Here
from tests.cli.conftest import Place

ROOT = "pci-0000:00:14.0-usb-0:"
Plugs = Callable[..., None]


def add(chain: str, peer: str | None = None) -> PortEvent:
    return PortEvent("add", f"1-{chain}", ROOT + chain, peer=peer and ROOT + peer)


class Script:
    """Stands where udev's events come from. After its last one nothing happens, or somebody presses Ctrl-C."""

    def __init__(self, events: Iterable[PortEvent], plugged: Sequence[str] = (), *, interrupted: bool = False) -> None:
        self._events = list(events)
        self._plugged = list(plugged)
        self._interrupted = interrupted

    def plugged(self) -> list[str]:
        return self._plugged

    def wait(self, _timeout_s: float) -> PortEvent | None:
        if not self._events and self._interrupted:
            raise KeyboardInterrupt
        return self._events.pop(0) if self._events else None


@pytest.fixture
def plugs(monkeypatch: pytest.MonkeyPatch) -> Plugs:
    def happen(*events: PortEvent, plugged: Sequence[str] = (), interrupted: bool = False) -> None:
        script = Script(events, plugged, interrupted=interrupted)
        monkeypatch.setattr(port_events, "PortEvents", lambda: script)

    return happen


def bays_file(place: Place) -> Path:
    return place.config.parent / "conf.d" / "bays.toml"


def test_a_person_is_led_from_bay_to_bay(here: Here, place: Place, plugs: Plugs) -> None:
    plugs(
        PortEvent("add", "1-1", f"{ROOT}1", is_hub=True),
        add("1.3", "5.3"),
        PortEvent("remove", "1-1.3"),
        add("1.3", "5.3"),
        PortEvent("add", "1-9"),
        add("1.4"),
    )
    ended = here("bays", "learn", "--count", "2", "--config", str(place.config))
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.splitlines() == [
        "Plug a camera into bay 1 ...",
        f"  Bay 1 is at {ROOT}1.3 and {ROOT}5.3. You may take the camera out.",
        "Plug a camera into bay 2 ...",
        "  That is bay 1 already. Plug a camera into bay 2 ...",
        "  1-9 is on no port that can be told apart. Is udev running? Try another port.",
        f"  Bay 2 is at {ROOT}1.4. You may take the camera out.",
        f"Wrote 2 bays to {bays_file(place)}. A running service takes them over by itself.",
    ]
    bays = load_config(place.config).bays
    assert [(bay.name, bay.paths) for bay in bays] == [("1", (f"{ROOT}1.3", f"{ROOT}5.3")), ("2", (f"{ROOT}1.4",))]
    assert bays_file(place).stat().st_mode & 0o777 == 0o644
    assert [file.name for file in bays_file(place).parent.iterdir()] == ["bays.toml"]


def test_a_program_gets_one_object_and_a_person_is_told_on_stderr(here: Here, place: Place, plugs: Plugs) -> None:
    plugs(add("1.1"), add("1.2"))
    ended = here("bays", "learn", "--names", "left,right", "--json", "--config", str(place.config))
    assert json.loads(ended.out) == {
        "file": str(bays_file(place)),
        "bays": [{"name": "left", "paths": [f"{ROOT}1.1"]}, {"name": "right", "paths": [f"{ROOT}1.2"]}],
        "complete": True,
    }
    assert ended.err.startswith("Plug a camera into bay left ...\n")


def test_what_is_plugged_in_already_says_nothing(here: Here, place: Place, plugs: Plugs) -> None:
    plugs(add("1.1"), add("1.2"), plugged=["1-1.1"])
    here("bays", "learn", "--count", "1", "--config", str(place.config))
    assert load_config(place.config).bays[0].paths == (f"{ROOT}1.2",)


@pytest.mark.parametrize(("interrupted", "code"), [(True, 130), (False, 1)])
@pytest.mark.parametrize("keep", [True, False])
def test_what_was_learned_before_an_end_is_kept_only_if_wanted(
    here: Here, place: Place, plugs: Plugs, interrupted: bool, code: int, keep: bool
) -> None:
    plugs(add("1.1"), interrupted=interrupted)
    words = ["bays", "learn", "--count", "2", "--json", "--config", str(place.config), *(["--keep"] if keep else [])]
    ended = here(*words)
    assert ended.code == code
    said = json.loads(ended.out)
    assert (said["complete"], said["file"]) == (False, str(bays_file(place)) if keep else None)
    assert bays_file(place).exists() is keep
    assert interrupted or "bay 2 is not learned. Run it again." in ended.err


def test_an_end_before_the_first_bay_writes_nothing(here: Here, place: Place, plugs: Plugs) -> None:
    plugs(interrupted=True)
    ended = here("bays", "learn", "--count", "1", "--keep", "--config", str(place.config))
    assert ended.code == 130
    assert ended.out.endswith("Nothing was written.\n")
    assert not bays_file(place).exists()


def test_bays_that_were_learned_before_are_replaced_only_if_wanted(here: Here, place: Place, plugs: Plugs) -> None:
    words = ("bays", "learn", "--count", "1", "--config", str(place.config))
    plugs(add("1.1"))
    assert here(*words).code == 0
    plugs(add("1.2"))
    refused = here(*words)
    assert (refused.code, "Use --replace" in refused.err) == (1, True)
    assert here(*words, "--replace").code == 0
    assert load_config(place.config).bays[0].paths == (f"{ROOT}1.2",)


def test_bays_of_other_files_stay_theirs(here: Here, place: Place, plugs: Plugs) -> None:
    with place.config.open("a") as file:
        file.write(f'[[bays]]\nname = "1"\npaths = ["{ROOT}1.1"]\n')
    plugs(add("1.1"), add("1.2"))
    refused = here("bays", "learn", "--count", "1", "--config", str(place.config))
    assert (refused.code, "Bay 1 stands in another file" in refused.err) == (1, True)
    ended = here("bays", "learn", "--names", "2", "--config", str(place.config))
    assert "That is bay 1 already." in ended.out
    assert [bay.paths for bay in load_config(place.config).bays] == [(f"{ROOT}1.1",), (f"{ROOT}1.2",)]


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--count", "1", "--names", "1"],
        ["--count", "0"],
        ["--count", "65"],
        ["--names", "1,,2"],
        ["--names", "1,1"],
        ["--names", "a b"],
        ["--names", "hand"],
        ["--names", "port-1"],
    ],
)
def test_names_that_are_none_are_refused_before_anything_happens(here: Here, place: Place, words: list[str]) -> None:
    ended = here("bays", "learn", *words, "--config", str(place.config))
    assert ended.code == 2
    assert not bays_file(place).exists()
