"""`dock-agent depot`: the small evidence store that ships with the agent."""

import asyncio
from pathlib import Path
from typing import Annotated, Any

import typer

from agent.cli.failure import Exit
from agent.cli.missing import say_missing
from agent.cli.options import AsJson
from agent.cli.service_account import acting_as, owner_of
from agent.cli.stopped_station import refuse_other_owner
from agent.cli.terminal import print_json, say_error, show, table
from agent.cli.verbs import Verbs
from agent.cli.wording import count, safe, shown, size

app = Verbs(invoke_without_command=True)
Directory = Annotated[Path | None, typer.Option("--dir", metavar="DIR", help="Where the evidence lies.")]
Listen = Annotated[str, typer.Option("--listen", metavar="HOST:PORT", help="Port 0 picks one.")]
TlsCert = Annotated[Path | None, typer.Option("--tls-cert", metavar="FILE", help="Needed beyond loopback.")]
TlsKey = Annotated[Path | None, typer.Option("--tls-key", metavar="FILE", help="The certificate's key.")]
ClientCa = Annotated[Path | None, typer.Option("--client-ca", metavar="FILE", help="Ask stations for certificates.")]
Enrol = Annotated[
    str | None,
    typer.Option(
        "--enrol",
        metavar="STATION",
        help="Print a new credential for STATION, alone and only this once, and end. Keep it from others:"
        " (umask 077; dock-agent depot --dir DIR --enrol hub7 > hub7.token)",
    ),
]
New = Annotated[bool, typer.Option("--new", help="Let --enrol begin a depot that was never started.")]
Replace = Annotated[
    bool, typer.Option("--replace", help="Let --enrol end a credential that STATION has already; it stops at once.")
]
Renew = Annotated[
    bool,
    typer.Option("--renew", help="Let --enrol make the next credential; the one before holds until this one is used."),
]
Revoke = Annotated[
    str | None,
    typer.Option("--revoke", metavar="STATION", help="Take STATION's credential away, at once, and end."),
]

OfStation = Annotated[str | None, typer.Option("--station", metavar="STATION", help="Only what is this one's.")]
Missing = Annotated[
    bool, typer.Option("--missing", help="Only what was begun or announced and is here from no station.")
]
Old = Annotated[str, typer.Argument(metavar="OLD", help="The station that is lost.")]
Fresh = Annotated[str, typer.Argument(metavar="NEW", help="A name that no station had.")]
CredentialTo = Annotated[
    Path, typer.Option("--credential-to", metavar="FILE", help="A new file for NEW's credential, mode 0600.")
]


@app.callback()
def depot(  # noqa: PLR0917 - one for each option
    context: typer.Context,
    directory: Directory = None,
    listen: Listen = "127.0.0.1:8430",
    as_json: AsJson = False,
    tls_cert: TlsCert = None,
    tls_key: TlsKey = None,
    client_ca: ClientCa = None,
    enrol: Enrol = None,
    new: New = False,
    replace: Replace = False,
    renew: Renew = False,
    revoke: Revoke = None,
) -> None:
    """The small evidence store: run it, or look into it."""
    context.obj = directory
    if context.invoked_subcommand is not None:
        return
    place = _needed(directory)
    from agent.depot import command

    if enrol is not None and revoke is not None:
        raise typer.BadParameter("give one of --enrol and --revoke", param_hint="--revoke")
    if revoke is not None:
        _revoke(place, revoke)
        return
    ways = [word for word, said in (("--new", new), ("--replace", replace), ("--renew", renew)) if said]
    if enrol is not None:
        if renew and len(ways) > 1:
            raise typer.BadParameter(f"does not go together with {ways[0]}", param_hint="--renew")
        with acting_as(owner_of(place)):
            token = command.enrol(place, enrol, new=new, replace=replace, renew=renew)
        print(token)
        return
    if ways:
        raise typer.BadParameter("is said together with --enrol", param_hint=ways[0])
    if owner_of(place) is not None:  # who could not serve any more what root took in
        refuse_other_owner(place)
    code = asyncio.run(
        command.run_depot(
            place, listen, out=_say, as_json=as_json, tls_cert=tls_cert, tls_key=tls_key, client_ca=client_ca
        )
    )
    raise typer.Exit(code)


@app.command("ls")
def list_uploads(
    context: typer.Context,
    directory: Directory = None,
    station: OfStation = None,
    missing: Missing = False,
    as_json: AsJson = False,
) -> None:
    """List what the depot holds, and what stations have announced; also while it runs."""
    place = _needed(directory or context.obj)
    from agent.depot.command import list_uploads as uploads_of

    uploads: list[dict[str, Any]] = list(uploads_of(place, station, missing=missing))
    if as_json:
        print_json(uploads)
    elif uploads:
        columns = ("station", "camera", "clip", "class", "name", "size", "finished", "receipts")
        show(table(columns, map(_row, uploads)))
    elif missing:
        print("All that was begun or announced is here.")
    else:
        print("The depot holds nothing." if station is None else f"The depot holds nothing of {station}.")


@app.command("replace")
def replace_station(
    context: typer.Context,
    old: Old,
    new: Fresh,
    credential_to: CredentialTo,
    directory: Directory = None,
    as_json: AsJson = False,
) -> None:
    """Let station NEW take the place of OLD, which is lost: OLD is revoked, NEW enrolled.

    Lists what OLD had begun or announced and no station has brought, by camera: dock these cameras again. Also while
    the depot runs.
    """
    place = _needed(directory or context.obj)
    from agent.depot.command import replace

    done = replace(place, old, new, credential_to.absolute(), within=lambda: acting_as(owner_of(place)))
    if as_json:
        facts = {"old": done.old, "new": done.new, "revoked": done.revoked, "credential": str(done.credential)}
        print_json(facts | {"missing": list(done.missing)})
        return
    print(f"{safe(old)} can no longer speak to this depot; what it brought stays.")
    print(f"The credential of {safe(new)} is in {safe(str(done.credential))}. Bring it there, and remove it here.")
    say_missing(safe(old), done.missing)


@app.command()
def verify(context: typer.Context, directory: Directory = None, as_json: AsJson = False) -> None:
    """Hash every object again and compare it with its name and with the catalogue."""
    place = _needed(directory or context.obj)
    from agent.depot.command import verify as verify_all

    found = verify_all(place)
    if as_json:
        facts = {"uploads": found.uploads, "objects": found.objects, "bytes": found.size_bytes}
        print_json(facts | {"problems": list(found.problems)})
    else:
        sizes = f"{count(found.objects, 'object')} ({size(found.size_bytes)}) of {count(found.uploads, 'upload')}"
        print(f"Looked at {sizes}: " + ("all are whole." if not found.problems else "not all are whole."))
    for problem in found.problems:
        say_error(f"{problem}. Keep the depot as it is and tell the evidence manager.")
    raise typer.Exit(Exit.FAILED if found.problems else Exit.DONE)


def _revoke(place: Path, station: str) -> None:
    from agent.depot import command

    with acting_as(owner_of(place)):
        revoked = command.revoke_station(place, station)
    if not revoked:
        say_error(f"{station} has no credential here. `ls` in the directory `stations` of the depot shows who has.")
        raise typer.Exit(Exit.FAILED)
    print(f"{station} can no longer speak to this depot; what it brought stays.")


def _say(text: str) -> None:
    print(text, flush=True)


def _needed(directory: Path | None) -> Path:
    if directory is None:
        raise typer.BadParameter("give the depot's directory", param_hint="--dir")
    return directory


def _row(view: dict[str, Any]) -> tuple[str, ...]:
    words = [shown(view[key]) for key in ("station", "camera", "clip", "class", "name")]
    finished = "announced, not yet here" if view["announced"] else shown(view["finished"])
    finished += ", the same bytes" if view["same_as"] else ""
    return (*words, size(view["size"]), finished, str(view["receipts"]))
