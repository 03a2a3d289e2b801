"""What scripts/lab runs: `build` makes the image and a serving station, `shell` gives a station to play with."""

import shutil
import sys
import tempfile
from pathlib import Path

from tests.lab import recipe
from tests.lab.cache import say
from tests.lab.channel import MachineEnded
from tests.lab.depot import LabDepot
from tests.lab.guest_side import CommandFailed
from tests.lab.image import LabError
from tests.lab.machine import Machine, State
from tests.lab.states import serving


def main(words: list[str]) -> int:
    """Do what the one word says."""
    try:
        state = serving(recipe.serving)
        if words == ["shell"]:
            with tempfile.TemporaryDirectory(prefix="lab-shell-") as name:
                play(state, Path(name))
        else:
            say("ready")
    except (LabError, CommandFailed, MachineEnded) as error:
        say("\n".join([str(error), *getattr(error, "__notes__", [])]))
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def play(state: State, folder: Path) -> None:
    """A station with its store, as the tests have it, until whoever plays has enough."""
    from tests.lab.shell import Shell  # noqa: PLC0415 - a build needs no shell

    shutil.copytree(recipe.depot_template() / "depot", folder / "depot")
    with (
        LabDepot(folder / "depot") as depot,
        Machine.restore(state, folder / "machine", depot.port) as machine,
        Shell(depot, folder, machine) as shell,
    ):
        shell.cmdloop()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
