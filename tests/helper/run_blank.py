"""Unmounts everything while one bay hangs, in mounts of its own: to be run by `unshare --mount`.

Says "hung" once it waits for bay 1, goes on when a line comes in, and says at the end what is mounted.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Thread

from agent.devices.topology import Topology
from agent.helper.dock import Dock
from agent.helper.memory import Known, Memory, Volume
from agent.helper.sysfs import Usb
from agent.helper.volume import Volumes
from tests.helper.tree import Tree, port


def say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def mount(place: Path) -> None:
    place.mkdir(parents=True)
    subprocess.run(["mount", "-t", "tmpfs", "tmpfs", str(place)], check=True)  # noqa: S603, S607


def main() -> None:
    home = Path(sys.argv[1])
    tree, memory, media = Tree(home / "sys"), Memory(home / "state"), home / "media"
    for bay in ("1", "2"):
        tree.plug(f"1-1.{bay}")
    tree.plug_disk("1-1.1", "no-such-disk-a", sequence=12)
    tree.plug_disk("1-1.2", "no-such-disk-b", sequence=13)
    dock = Dock(Topology({"1": [port(1)], "2": [port(2)]}), Usb(tree.root, tree.paths.get))
    volumes = Volumes(dock, media, memory)
    left = {bay: Volume(dock.block(bay, f"no-such-disk-{disk}1"), "vfat") for bay, disk in (("1", "a"), ("2", "b"))}
    for bay, volume in left.items():
        mount(media / bay / "7")
        memory.keep(bay, Known(7, volume))
    sequence = tree.place("1-1.1/1-1.1:1.0/host0/target0:0:0/0:0:0:0/block/no-such-disk-a/diskseq")
    sequence.unlink()
    os.mkfifo(sequence)  # whoever looks at this disk waits
    blanking = Thread(target=volumes.unmount_all)
    blanking.start()
    with sequence.open("w") as answer:
        say("hung")
        sys.stdin.readline()
        # A new run has gone on meanwhile.
        volumes.unmount("2")
        mount(media / "2" / "8")
        memory.keep("2", Known(8, left["2"]))
        answer.write("12\n")
    blanking.join()
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text("utf-8").splitlines()]
    mounted = sorted(point.removeprefix(f"{media}/") for point in points if point.startswith(str(media)))
    say(json.dumps({"mounted": mounted, "known": memory.of("2").volume is not None, "was": memory.of("1").last}))


if __name__ == "__main__":
    main()
