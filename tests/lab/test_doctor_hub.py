"""What `dock-agent doctor hub` finds out about real hubs: the kernel's, in a machine."""

import json

import pytest

from tests.lab.guest_side import CommandFailed
from tests.lab.station import JsonObject, Station

pytestmark = pytest.mark.lab


COMMAND_S = 150
"""A command that loads much of the agent, in a guest without KVM on a busy machine."""


def doctor(station: Station, *words: str) -> JsonObject:
    return dict(json.loads(station.machine.run("dock-agent", "doctor", "hub", "--json", *words, timeout=COMMAND_S)))


def test_hubs_say_what_they_can_do_and_a_trial_shows_it(station: Station) -> None:
    camera = station.camera("BWC1")
    station.dock(camera, "3")
    station.until_advice("3", "take", "the camera is clear")

    told = doctor(station)
    abilities = {hub["hub"]: hub["switching"] for hub in told["hubs"]}
    assert abilities["1-1"] == abilities["1-2"] == "each"
    bays = {bay["bay"]: bay["ports"] for bay in told["bays"]}
    assert [(half["hub"], half["port"], half["device"]) for half in bays["3"]] == [("1-1", 3, "1-1.3")]
    assert bays["4"][0]["power"] is True

    empty = doctor(station, "--try", "4")["tried"]
    assert (empty["off"], empty["on"], empty["left"], empty["works"]) == (True, True, None, True)

    assert camera.scripted is not None
    with pytest.raises(CommandFailed, match="A camera is in it"):
        doctor(station, "--try", "3")
    assert camera.scripted.power_cycles == 0
    taken = doctor(station, "--try", "3", "--camera", "BWC1")["tried"]
    assert (taken["off"], taken["left"], taken["returned"], taken["works"]) == (True, True, True, True)
    assert camera.scripted.power_cycles == 1
    station.until_advice("3", "take", "the camera is clear")
