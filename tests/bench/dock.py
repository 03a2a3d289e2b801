"""What a docking costs on real USB, in the lab's virtual machine (tests/lab), against the kernel and against dd.

Three rows, each with its peer in the same machine and with the same cards:
  first   from plugging a camera in to the first byte of a clip in the spool, less the kernel's own probing, which is
          the time to udev's event for the partition in a machine without our service; each for the second camera of
          a machine, so that neither reads its programs from the disk
  copy    one clip of 64 MB, camera to spool: against `dd` of the same file from a mount, synced
  crowd   sixteen cameras plugged in at once, until all their clips are in the spool: against sixteen mounts read by
          `dd`, written to the same disk and hashed by `sha256sum`, in parallel, from the same moment on; the store is
          out of reach, since the peer uploads nothing either
"""

import re
import shutil
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.result import Bar, Result, Row
from tests.lab.depot import LabDepot
from tests.lab.machine import NO_STORE, Machine, State
from tests.lab.media import card
from tests.lab.recipe import STATE_DIR, bays, depot_template, serving
from tests.lab.states import idle
from tests.lab.states import serving as state_of
from tests.lab.station import Station, footage
from tests.lab.watch import Watch

ROUNDS = 3
BAY = "3"
COPY_MB, CROWD_MB = 64, 64

# Says when the first byte of a clip is written: no look at a clock costs the guest anything meanwhile.
_FIRST_BYTE = f"""
import ctypes, os
MODIFY = 2  # inotify(7)
libc = ctypes.CDLL(None)
watch = libc.inotify_init()
libc.inotify_add_watch(watch, b"{STATE_DIR}/spool/incoming", MODIFY)
print("ready", flush=True)
os.read(watch, 4096)
print("written", flush=True)
"""

_PEER = """
set -e
mkdir -p /run/peer/{bay} {state}/peer
mount -t vfat -o ro,noatime {block} /run/peer/{bay}
for f in $(find /run/peer/{bay} -name '*.MP4'); do
    dd if=$f of={state}/peer/{bay} bs=1M conv=fsync status=none
    {hash}
done
"""


def measure() -> Result:
    """Run the benchmark."""
    serving_state, idle_state = state_of(serving), idle()
    rows: list[Row] = []
    for _ in range(ROUNDS):
        row: Row = {}
        with _folder() as folder:
            row |= _first(folder, serving_state, idle_state)
        with _folder() as folder:
            row |= _copy(folder, serving_state, idle_state)
        with _folder() as folder:
            row |= _crowd(folder, serving_state, idle_state)
        rows.append({name: round(value, 3) for name, value in row.items()})
    return Result(
        name="dock",
        rows=rows,
        bars={
            "first_byte_s": Bar(_middle(rows, lambda r: r["first_byte_s"] - r["probing_s"]), 3.0, most=True),
            "copy_over_dd": Bar(_middle(rows, lambda r: r["copy_s"] / r["dd_s"]), 1.1, most=True),
            "crowd_over_dd": Bar(_middle(rows, lambda r: r["crowd_s"] / r["crowd_dd_s"]), 1.2, most=True),
        },
    )


def _middle(rows: list[Row], figure: Callable[[Row], float]) -> float:
    return round(statistics.median(map(figure, rows)), 3)


@contextmanager
def _folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="bench-dock-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _station(folder: Path, state: State, *, line: bool = True) -> Iterator[Station]:
    """A machine with our service; `line`: whether it reaches its store."""
    shutil.copytree(depot_template() / "depot", folder / "depot")
    with (
        LabDepot(folder / "depot") as depot,
        Machine.restore(state, folder / "ours", depot.port if line else NO_STORE) as machine,
    ):
        station = Station(machine, depot, folder)
        station.configure(wiping=False)
        try:
            yield station
        finally:
            station.close()


@contextmanager
def _bare(folder: Path, state: State) -> Iterator[Machine]:
    """A machine without our service, with the spool's disk mounted."""
    with Machine.restore(state, folder / "bare") as machine:
        machine.sh(f"mkdir -p {STATE_DIR} && mount /dev/vdb {STATE_DIR}")
        yield machine


def _first(folder: Path, ours: State, bare: State) -> Row:
    image = card(folder / "card.img", {"DCIM/A.MP4": footage(1, 4)})
    earlier = card(folder / "earlier.img", {"DCIM/Z.MP4": footage(9, 1)})
    with _bare(folder, bare) as machine:
        watch = Watch(machine)
        machine.plug_disk("earlier", earlier, bays()["1"], "BWC0")
        watch.wait_volume(bays()["1"])
        begun = time.monotonic()
        machine.plug_disk("probe", image, bays()[BAY], "BWC1")
        watch.wait_volume(bays()[BAY])
        probing_s = time.monotonic() - begun
    with _station(folder, ours) as station:
        first = station.camera("BWC0", {"DCIM/Z.MP4": footage(9, 1)}, scripted=False)
        station.dock(first, "1")
        station.until_done(first)
        station.undock(first)
        station.until(lambda: station.events("camera.undocked"), "the earlier camera is gone")
        station.machine.put("/run/first_byte.py", _FIRST_BYTE.encode())
        watching = station.machine.spawn("exec python3 -I /run/first_byte.py")
        watching.wait_line(lambda line: line == "ready")
        begun = time.monotonic()
        station.machine.plug_disk("BWC1", image, station.ports[BAY], "BWC1")
        watching.wait_line(lambda line: line == "written", 60)
        return {"probing_s": probing_s, "first_byte_s": time.monotonic() - begun}


def _copy(folder: Path, ours: State, bare: State) -> Row:
    image = card(folder / "card.img", {"DCIM/A.MP4": footage(2, COPY_MB)})
    with _bare(folder, bare) as machine:
        watch = Watch(machine)
        machine.plug_disk("peer", image, bays()[BAY], "BWC1")
        block = watch.wait_volume(bays()[BAY])
        machine.sh(f"mkdir -p /run/peer && mount -t vfat -o ro /dev/{block} /run/peer")
        begun = time.monotonic()
        machine.sh(f"dd if=/run/peer/DCIM/A.MP4 of={STATE_DIR}/peer bs=1M conv=fsync status=none", timeout=120)
        dd_s = time.monotonic() - begun
    with _station(folder, ours) as station:
        station.machine.plug_disk("BWC1", image, station.ports[BAY], "BWC1")
        station.until(lambda: station.events("clip.spooled"), "the clip is in the spool", 120)
        events = {event["event"]: event for event in station.events()}
        # From the listing on, which is what dd begins with as well: the file is known, nothing of it was read.
        spent_us = events["clip.spooled"]["monotonic_us"] - events["clip.listed"]["monotonic_us"]
        return {"dd_s": dd_s, "copy_s": spent_us / 1e6}


def _crowd(folder: Path, ours: State, bare: State) -> Row:
    ports = {bay: port for bay, port in bays().items() if "." in port}
    images = {bay: card(folder / f"{bay}.img", {f"DCIM/{bay}.MP4": footage(100 + int(bay), CROWD_MB)}) for bay in ports}
    with _bare(folder, bare) as machine:
        watch = Watch(machine)
        begun = time.monotonic()
        for bay, port in ports.items():
            machine.plug_disk(f"BWC{bay}", images[bay], port, f"BWC{bay}")
        volumes = watch.wait_volumes(list(ports.values()))
        jobs = []
        for bay, port in ports.items():
            hashed = f"sha256sum $f > /run/peer.{bay}"
            script = _PEER.format(bay=bay, block=f"/dev/{volumes[port]}", state=STATE_DIR, hash=hashed)
            machine.put(f"/run/peer-{bay}.sh", script.encode(), 0o755)
            jobs.append(machine.spawn(f"sh /run/peer-{bay}.sh"))
        for job in jobs:
            assert job.wait(180) == 0, job.lines
        crowd_dd_s = time.monotonic() - begun
    with _station(folder, ours, line=False) as station:
        begun_us = int(float(station.machine.sh("cut -d' ' -f1 /proc/uptime")) * 1e6)
        for bay, port in ports.items():
            station.machine.plug_disk(f"BWC{bay}", images[bay], port, f"BWC{bay}")
        time.sleep(crowd_dd_s)  # whoever asks, slows down
        station.until(lambda: len(station.events("clip.spooled")) == len(ports), "all is in the spool", 360)
        assert not re.search("faulted", station.told())
        last_us = max(event["monotonic_us"] for event in station.events("clip.spooled"))
        return {"crowd_dd_s": crowd_dd_s, "crowd_s": (last_us - begun_us) / 1e6}
