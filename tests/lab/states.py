"""The saved states, each made once and then restored in a second.

  idle               booted; the project installed with its units, rules and users; nothing of it running; the spool
                     disk (`qemu.SPOOL`, an empty ext4) there and not mounted
  serving(recipe)    made from idle by `recipe(machine)`, which mounts the spool, writes a configuration and starts the
                     service; the spool disk's contents are kept with it

A change of the project's code or of the recipe's file makes new ones.
"""

import inspect
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from tests.lab.cache import digest, made, say
from tests.lab.image import image
from tests.lab.machine import Machine, State
from tests.lab.modules import LOADED
from tests.lab.payload import PAYLOAD_BYTES, payload, payload_digest
from tests.lab.qemu import GUEST_ADDRESS, PAYLOAD, shape

Recipe = Callable[[Machine], None]
KEPT = 4
OWN = Path(__file__).read_bytes()
"""How a state is made is part of what it is."""


def _settle(machine: Machine, *, forget: bool) -> None:
    """Nothing is on its way to the disks. `forget`: what was read of them goes, which makes the state smaller."""
    machine.sh("journalctl --sync; sync" + ("; echo 3 > /proc/sys/vm/drop_caches" if forget else ""))


def _booted() -> State:
    """The machine after its start, with nothing of ours: code that changes need not boot again."""
    base = image()

    def make(folder: Path) -> None:
        (folder / "payload.tar").write_bytes(bytes(PAYLOAD_BYTES))
        say("booting the guest (about 20 s)")
        with Machine.restore(
            State(base, folder / "payload.tar", base / "spool.raw", None), folder / "making"
        ) as machine:
            machine.sh("systemctl is-system-running --wait", timeout=120)
            machine.sh(f"modprobe -a {' '.join(LOADED)}")
            machine.sh(f"ip address add {GUEST_ADDRESS} dev eth0; ip link set eth0 up")
            _settle(machine, forget=True)
            machine.save(folder / "memory")
        shutil.rmtree(folder / "making")

    folder = made("booted", digest(base.name, shape(), OWN), make, keep=2)
    return State(base, folder / "payload.tar", base / "spool.raw", folder / "memory")


def _idle_key(booted: State) -> str:
    return digest(booted.payload.parent.name, payload_digest(), OWN)


@cache
def idle() -> State:
    """The machine with everything installed and nothing running."""
    booted = _booted()

    def make(folder: Path) -> None:
        (folder / "payload.tar").write_bytes(payload())
        say("installing the project in the guest (about 10 s)")
        state = replace(booted, payload=folder / "payload.tar")
        with Machine.restore(state, folder / "making") as machine:
            machine.run("/usr/lib/lab/install", PAYLOAD, timeout=180)
            _settle(machine, forget=True)
            machine.save(folder / "memory")
        shutil.rmtree(folder / "making")

    folder = made("idle", _idle_key(booted), make, keep=KEPT)
    return replace(booted, payload=folder / "payload.tar", memory=folder / "memory")


@cache
def serving(recipe: Recipe) -> State:
    """The machine as the recipe leaves it."""
    before = idle()
    told = Path(inspect.getsourcefile(recipe) or "").read_bytes()

    def make(folder: Path) -> None:
        shutil.copyfile(before.payload, folder / "payload.tar")
        say(f"starting the service by {recipe.__qualname__}")
        with Machine.restore(before, folder / "making") as machine:
            recipe(machine)
            # A station that runs has its programs in memory: reading them again in each test takes seconds.
            _settle(machine, forget=False)
            machine.save(folder / "memory")
        (folder / "making/spool.qcow2").rename(folder / "spool.qcow2")
        shutil.rmtree(folder / "making")

    key = digest(before.payload.parent.name, recipe.__qualname__, told, OWN)
    folder = made("serving", key, make, keep=KEPT)
    return State(before.image, folder / "payload.tar", folder / "spool.qcow2", folder / "memory")
