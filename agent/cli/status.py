"""`dock-agent status`: the whole station at a glance."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli import bays
from agent.cli.failure import Exit, NotRunning, report
from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile
from agent.cli.reach import reach
from agent.cli.terminal import console, print_json, show, table
from agent.cli.wording import count, safe, shown, size

if TYPE_CHECKING:
    from rich.console import Group

    from agent.cli.service import Service

View = dict[str, Any]
Watch = Annotated[bool, typer.Option("--watch", help="Go on until Ctrl-C.")]


def status(config: ConfigFile = DEFAULT_CONFIG, watch: Watch = False, as_json: AsJson = False) -> None:
    """Show bays, stores and totals."""
    from agent.cli.service import Service

    service = reach(config)
    if not isinstance(service, Service):
        if as_json:
            print_json({"running": False})
        raise typer.Exit(report(NotRunning("No service runs on this station.")))
    with service:
        if watch:
            _watch(service, as_json=as_json)
        elif as_json:
            print_json({"running": True, "station": service.get("station"), "bays": service.get("bays")})
        else:
            show(screen(service.get("station"), service.get("bays")))


def screen(station: View, views: list[View]) -> "Group":
    """Lay out everything, the bays first."""
    from rich.console import Group

    stores = table(("store", "requires", "state"), map(_store_row, station["stores"]))
    occupied = table(bays.COLUMNS, map(bays.row, views))
    parts: list[Any] = [headline(station), "", occupied if views else "No bay is configured."]
    parts += ["", stores if station["stores"] else "No store is configured.", "", totals(station)]
    return Group(*parts, *(f"look at this: {safe(str(notice))}" for notice in station["notices"]))


def headline(station: View) -> str:
    """Who this is, and what is unusual about it."""
    wiping = "wiping is on" if station["wiping"] else "wiping is off"
    trial = "TRIAL, not for evidence; " if station["trial"] else ""
    return f"station {shown(station['station'])} ({shown(station['version'])}): {trial}{wiping}"


def totals(station: View) -> str:
    """Clips by state, and the spool."""
    clips = station["totals"]["clips"]
    states = ", ".join(f"{count(n['clips'], 'clip')} {safe(state)} ({size(n['bytes'])})" for state, n in clips.items())
    spool = station["spool"]
    held = f"spool: {size(station['totals']['spool_bytes'])} held, {size(spool['free_bytes'])} free"
    uploads = f"{count(station['uploading'], 'upload')} running{_limit(station)}"
    return f"{states or 'no clips yet'}; {held}; {uploads}"


def _limit(view: View) -> str:
    """How fast clips may leave now, where anything is said about it."""
    bandwidth = view.get("bandwidth")
    if not bandwidth or (bandwidth["limit_bits_s"] is None and bandwidth["until"] is None):
        return ""
    return f", {shown(bandwidth['shown'])}"


def _store_row(store: View) -> tuple[str, ...]:
    counts = "" if store["counts"] else " (does not count: it is on this machine)"
    state = "ok" if store["ok"] else f"{count(store['failures'], 'failure')} in a row: {shown(store['problem'])}"
    if store.get("paused"):
        state = f"paused by a person: {shown(store['paused'])}"
    return shown(store["name"]), shown(store["require"]), state + counts + _limit(store) + _yielding(store)


def _yielding(store: View) -> str:
    """Why uploads to a store are slow, where it is because of others on the line."""
    yielding = store.get("yielding")
    return f", {shown(yielding['shown'])}" if yielding else ""


def _watch(service: "Service", *, as_json: bool) -> None:
    try:
        if as_json:
            for view in service.views():
                print_json({"running": True, **view})
        elif sys.stdout.isatty():
            _watch_screen(service)
        else:
            _watch_lines(service)
    except KeyboardInterrupt:
        raise typer.Exit(Exit.DONE) from None


def _watch_screen(service: "Service") -> None:
    from rich.live import Live

    with Live(console=console(), auto_refresh=False, screen=False) as live:
        for view in service.views():
            live.update(screen(view["station"], view["bays"]), refresh=True)


def _watch_lines(service: "Service") -> None:
    """Write a line for each bay whose advice, reason or camera changed."""
    known: dict[str, tuple[Any, ...]] = {}
    for view in service.views():
        for bay in view["bays"]:
            facts = (bay["advice"], bay["reason"], bay["camera"])
            if known.get(bay["bay"]) != facts:
                known[bay["bay"]] = facts
                print(bays.sentence(bay), flush=True)
        for gone in known.keys() - {bay["bay"] for bay in view["bays"]}:
            del known[gone]
            print(f"bay {shown(gone)}: no longer known", flush=True)
