"""`dock-agent doctor hub`: what the dock's hubs can do, and which port is which bay."""

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.failure import Exit
from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile, load
from agent.cli.terminal import print_json, say_error, show, table
from agent.cli.wording import safe

if TYPE_CHECKING:
    from agent.cli.hub_ports import BayPort, HubFacts, HubPorts
    from agent.cli.hub_trial import Trial
    from agent.config import Config

SWITCHING = {
    "each": "says that it switches each port by itself",
    "together": "switches all its ports together: the power of one bay cannot be cut",
    "none": "switches no power at all",
}

Ports = dict[str, tuple["BayPort", ...]]


def hub(
    bay: Annotated[
        str | None, typer.Option("--try", metavar="BAY", help="Cut this bay's power for three seconds and look.")
    ] = None,
    camera: Annotated[
        str | None, typer.Option("--camera", metavar="SERIAL", help="The camera in that bay, whose power may be cut.")
    ] = None,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Find out which hubs the bays are on, and whether the power of single ports can be cut.

    Only looks, unless --try names a bay. Whatever a hub says of itself, only a trial shows whether it does it, and
    only a look at the camera's charging light whether more than the data went. Exit codes: 0 every bay has its port,
    and a trial went well; 1 otherwise.
    """
    from agent.cli.hub_ports import HubPorts
    from agent.config.adapters import usb_bays
    from agent.devices.topology import Topology
    from agent.helper.sysfs import Usb

    settings = load(config)
    bays = {str(name): paths for name, paths in usb_bays(settings).items()}
    if not bays:
        say_error("No bay is at a USB port. Learn them first: dock-agent bays learn --count N.")
        raise typer.Exit(Exit.FAILED)
    if bay is not None and bay not in bays:
        raise typer.BadParameter(f"no bay at a USB port is called {bay}", param_hint="--try")
    if camera is not None and bay is None:
        raise typer.BadParameter("it goes with --try", param_hint="--camera")
    found = HubPorts(Topology(bays), Usb(Path("/sys")), settings.usb.helper)
    ports = {name: found.of_bay(name) for name in bays}
    hubs = found.hubs(sorted({port.hub for halves in ports.values() for port in halves}))
    trial = None
    if bay is not None and ports[bay]:
        _refuse_unless_calm(settings, bay, ports[bay], camera)
        trial = _tried(settings, found, bay)
    if as_json:
        print_json(_facts(hubs, ports, bay, trial))
    else:
        _show(hubs, ports)
        if trial is not None and bay is not None:
            _tell(trial, bay)
    whole = all(ports.values()) and (trial is None or trial.works)
    raise typer.Exit(Exit.DONE if whole else Exit.FAILED)


def _refuse_unless_calm(settings: "Config", bay: str, ports: "tuple[BayPort, ...]", camera: str | None) -> None:
    from agent.cli.hub_trial import why_not
    from agent.cli.service import find_service

    service, view = find_service(settings.api.socket), None
    if service is not None:
        with service:
            view = next((each for each in service.get("bays") if each["bay"] == bay), {"occupied": False})
    reason = why_not(ports, view, camera)
    if reason is not None:
        say_error(f"The power of bay {bay} stays on. {reason}")
        raise typer.Exit(Exit.FAILED)


def _tried(settings: "Config", found: "HubPorts", bay: str) -> "Trial":
    from agent.cli.hub_trial import run_trial

    say_error(f"The power of bay {bay} goes off for three seconds: look at its charging light.")
    return run_trial(settings.usb.helper, bay, lambda: found.of_bay(bay))


def _facts(hubs: "list[HubFacts]", ports: Ports, bay: str | None, trial: "Trial | None") -> dict[str, Any]:
    return {
        "hubs": [asdict(each) for each in hubs],
        "bays": [{"bay": name, "ports": [asdict(port) for port in halves]} for name, halves in ports.items()],
        "tried": None if trial is None else {"bay": bay, **asdict(trial), "works": trial.works},
    }


def _show(hubs: "list[HubFacts]", ports: Ports) -> None:
    for each in hubs:
        what = f"{each.usb} {safe(each.product or '')}".rstrip()
        says = SWITCHING[each.switching] if each.switching else f"cannot be asked: {safe(each.why or '')}"
        print(f"Hub {each.hub} ({what}), {each.speed_mbit_s or '?'} Mbit/s, {each.ports} ports; {says}")
    rows = [
        (name, f"{port.hub} port {port.port}", _power(port), port.device or "empty", port.speed_mbit_s or "-")
        for name, halves in ports.items()
        for port in halves
    ]
    rows += [(name, "not there: is its hub plugged in?", "-", "-", "-") for name, halves in ports.items() if not halves]
    print()
    show(table(("bay", "port", "kernel's switch", "device", "Mbit/s"), rows))


def _power(port: "BayPort") -> str:
    return "none" if port.power is None else "on" if port.power else "OFF"


def _tell(trial: "Trial", bay: str) -> None:
    words = {
        "the hub said that the power was off": trial.off,
        "the hub says that it is on again": trial.on,
        "what was plugged in there left": trial.left,
        "and came back": trial.returned,
    }
    print(f"\nBay {bay}, switched by {trial.by}:")
    for what, seen in words.items():
        print(f"  {'-' if seen is None else 'yes' if seen else 'NO':<3}  {what}")
    print("Did the charging light go out as well? A hub may cut the data and leave the power on.")
