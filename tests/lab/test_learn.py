"""Finding out which port is which bay, with real hubs and the service running beside it."""

import json

import pytest

from tests.lab.qemu import path_of
from tests.lab.station import Station

pytestmark = pytest.mark.lab


def test_bays_are_learned_by_plugging_in(station: Station) -> None:
    station.machine.sh("cp -a /etc/dock-agent /run/trial && rm /run/trial/conf.d/bays.toml")
    learning = station.machine.spawn(
        "dock-agent bays learn --names left,right --config /run/trial/agent.toml --json --timeout 60"
    )
    learning.wait_line(lambda line: "left" in line, 60)
    first, second = station.camera("BWC1"), station.camera("BWC2")
    station.dock(first, "5")
    learning.wait_line(lambda line: "right" in line, 60)
    station.dock(second, "14")
    assert learning.wait(60) == 0, learning.lines
    written = station.machine.sh("cat /run/trial/conf.d/bays.toml")
    assert path_of(station.ports["5"]) in written
    assert path_of(station.ports["14"]) in written
    told = json.loads(next(line for line in reversed(learning.lines) if line.startswith(("{", "["))))
    assert path_of(station.ports["5"]) in json.dumps(told)
