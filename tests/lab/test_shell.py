"""What the shell says to whoever types; no machine is needed for that, and the store is a real one."""

import io
from pathlib import Path

import pytest

from tests.lab.depot import LabDepot
from tests.lab.shell import Shell


class Typist:
    """Types lines; keeps what is said."""

    def __init__(self, depot: LabDepot, folder: Path) -> None:
        self._shell = Shell(depot, folder)

    def __call__(self, line: str) -> str:
        self._shell.stdout = io.StringIO()
        assert not self._shell.onecmd(line)
        return self._shell.stdout.getvalue()


@pytest.fixture
def typed(tmp_path: Path) -> Typist:
    return Typist(LabDepot(tmp_path / "depot"), tmp_path)


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("plug", "say it as: plug KIND PORT [SERIAL]: plug in a camera"),
        ("plug vfat", "say it as: plug KIND PORT"),
        ("plug fat32 1.1", "there is no kind fat32; known are: vfat, exfat"),
        ("plug vfat 7.7", "there is no port 7.7; there are 1.1 to 1.8"),
        ("plug vfat 1.1", "no machine runs"),
        ("plug 'vfat 1.1", "No closing quotation"),
        ("unplug 7.7", "there is no camera in 7.7; there are some in: no port"),
        ("unplug", "say it as: unplug PORT"),
        ("hang 1.1", "there is no camera in 1.1"),
        ("power 1.1", "say it as: power PORT on|off|cycle"),
        ("power 1 on", "there is no port 1;"),
        ("power 1.1 maybe", "power is switched on, off or cycle, not maybe"),
        ("store fly", "the store can start or stop, not fly"),
        ("cameras", "no camera is plugged in"),
        ("jump 1", "there is no verb jump; `help` lists"),
        ("help jump", "there is no verb jump"),
    ],
)
def test_a_line_that_cannot_be_carried_out_is_answered_in_words(typed: Typist, line: str, said: str) -> None:
    assert said in typed(line)


def test_help_lists_every_verb_with_what_it_does(typed: Typist) -> None:
    listed = dict(line.split("  ", 1) for line in typed("help").splitlines())
    assert {usage.split()[0] for usage in listed} == {
        *("plug", "unplug", "hang", "unhang", "power", "store", "cameras", "guest", "watch", "help", "quit")
    }
    assert all(what.strip() for what in listed.values())
    assert typed("help unplug") == "unplug PORT  pull the camera out, whatever it is doing.\n"


def test_the_store_is_taken_away_and_brought_back_on_the_same_port(tmp_path: Path) -> None:
    with LabDepot(tmp_path / "depot") as depot:
        typed, port = Typist(depot, tmp_path), depot.port
        assert typed("store") == "the store runs and holds 0 objects, each as its name says\n"
        assert "runs already" in typed("store start")
        assert "the store is gone" in typed("store stop")
        assert not depot.runs
        assert typed("store").startswith("the store does not run and holds 0")
        assert "does not run" in typed("store stop")
        assert typed("store start") == "the store runs\n"
        assert (depot.runs, depot.port) == (True, port)
