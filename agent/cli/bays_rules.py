"""`dock-agent bays rules`: what other guards of the USB ports have to know about the dock."""

from enum import StrEnum
from typing import Annotated

import typer

from agent.cli.failure import Exit, say_problems
from agent.cli.options import DEFAULT_CONFIG, ConfigFile, load
from agent.cli.terminal import say_error


class Guard(StrEnum):
    """For whom the rules are."""

    USBGUARD = "usbguard"
    UDEV = "udev"


def rules(
    guard: Annotated[Guard, typer.Argument(metavar="usbguard|udev", help="For whom the rules are.")],
    any_serial: Annotated[
        bool, typer.Option("--any-serial", help="Let in cameras that nobody has enrolled as well (usbguard).")
    ] = False,
    config: ConfigFile = DEFAULT_CONFIG,
) -> None:
    """Print rules for USBGuard or udev, made from bays, profiles and enrolled cameras.

    usbguard: only enrolled cameras may come into the dock's ports; for /etc/usbguard/rules.d/. Run it on the station,
    since the rules name ports as its kernel does. udev: for a station whose dock shares USB controllers with other
    things; for /etc/udev/rules.d/72-dock-agent-station.rules. Nothing is installed or changed.
    """
    from agent.config.adapters import usb_bays
    from agent.devices.rules import udev_rules

    settings = load(config)
    bays = {str(name): paths for name, paths in usb_bays(settings).items()}
    if not bays:
        say_error("No bay is at a USB port. Learn them first: dock-agent bays learn --count N.")
        raise typer.Exit(Exit.FAILED)
    if guard is Guard.UDEV:
        print(udev_rules(bays), end="")
        return
    from agent.core.enrolment import Enrolment
    from agent.devices.port_events import PortEvents
    from agent.devices.profiles import load_profiles
    from agent.devices.rules import usbguard_rules

    loaded = load_profiles(settings.profiles_directory, station_zone=settings.station.zone)
    if loaded.problems:
        say_problems(list(loaded.problems))
        raise typer.Exit(Exit.BAD_CONFIG)
    entries = [Enrolment.parse(text) for text in settings.cameras.enrolled]
    try:
        text = usbguard_rules(loaded.profiles, bays, entries, PortEvents().buses(), any_serial=any_serial)
    except LookupError as error:
        say_error(f"{error.args[0]}. Run this on the station itself.")
        raise typer.Exit(Exit.FAILED) from error
    print(text, end="")
