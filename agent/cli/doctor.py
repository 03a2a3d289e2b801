"""`dock-agent doctor`: looks closely at something, on a person's command."""

import asyncio
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.doctor_hub import hub
from agent.cli.doctor_spool import spool
from agent.cli.failure import Exit
from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile, load
from agent.cli.service_account import acting_as, owner_of
from agent.cli.stopped_station import refuse_other_owner
from agent.cli.terminal import print_json, say_error, show, table
from agent.cli.verbs import Verbs
from agent.cli.wording import safe

if TYPE_CHECKING:
    from agent.config import Config
    from agent.config.model import StoreTable
    from agent.core.commissioning import Commissioning

app = Verbs(help="Look closely at something.")
StoreName = Annotated[str, typer.Argument(metavar="NAME", help="The store's name in the configuration.")]


@app.callback()
def doctor() -> None:
    """Look closely at something."""


@app.command()
def store(name: StoreName, config: ConfigFile = DEFAULT_CONFIG, as_json: AsJson = False) -> None:
    """Find out what a store really verifies, and keep that on record.

    Random bytes are sent to a scratch place of the store, some with wrong digests, and removed again where the store
    lets us. Also while the service runs; root asks with the service's own rights. Exit codes: 0 the store can give what
    `require` asks, 1 it cannot or a probe failed.
    """
    settings = load(config)
    found = next((each for each in settings.stores if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in settings.stores) or "none"
        raise typer.BadParameter(f"there is no store {name}; known are: {known}", param_hint="NAME")
    state_dir = settings.station.state_dir
    with acting_as(owner_of(state_dir)):  # as the service, which could not read what root leaves there
        refuse_other_owner(state_dir)
        record = _probed(settings, found)
    if as_json:
        print_json(_facts(record, found))
    else:
        _show(record, found)
    raise typer.Exit(Exit.DONE if record.meets(found.kind) and not record.failed else Exit.FAILED)


app.command()(spool)
app.command()(hub)


def _probed(settings: "Config", found: "StoreTable") -> "Commissioning":
    """Probe, and put the result beside the ledger."""
    from agent.config.adapters import store_settings
    from agent.ledger.custody import utc_now
    from agent.stores.probe_record import read_record, record_path, write_record
    from agent.stores.probes.commission import Commission
    from agent.stores.throttle import Throttle

    path = record_path(settings.station.state_dir, found.name)
    before = read_record(path)
    known = before.seen.certificate if before is not None and before.place == found.url else None
    commission = Commission(store_settings(found, Throttle()), settings.station.id, utc_now)
    try:
        record = asyncio.run(commission.run(known))
    finally:
        for left in commission.left:
            say_error(f"The store did not let this be removed: {left}. It holds random bytes only.")
    write_record(path, record)
    return record


def _facts(record: "Commissioning", found: "StoreTable") -> dict[str, object]:
    from agent.stores.probe_record import facts

    meets = record.meets(found.kind)
    return {**facts(record), "require": found.require, "meets_require": meets, "config": _advice(record)}


def _advice(record: "Commissioning") -> str | None:
    """The line to write into the store's table; None when no receipt can be had."""
    kind = record.advice()
    return None if kind is None else f'require = "{kind.word}"'


def _show(record: "Commissioning", found: "StoreTable") -> None:
    rows = [tuple(map(safe, (p.name, p.verdict.value, p.sent, p.answered))) for p in record.probes]
    show(table(("probe", "verdict", "what was sent", "what the store answered"), rows))
    kinds = [kind.word for kind in sorted(record.kinds, reverse=True)]
    print(f"\nServer: {safe(record.seen.server or 'does not say')}")
    print(f"Receipts that this store can give: {', '.join(kinds) or 'none'}")
    print(f"The configuration asks for: {found.require} ({'met' if record.meets(found.kind) else 'NOT met'})")
    advice = _advice(record)
    print(f"The strongest, for its [[stores]] table: {advice}" if advice else "This store cannot confirm any footage.")
    if "checksum" in kinds:
        print(
            'With require = "checksum" the way back of each object is saved; the store was seen to refuse wrong ones.'
        )
