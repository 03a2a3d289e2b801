"""`dock-agent setup`: a station's first configuration, by a few questions or by options alone."""

import os
import shlex
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.failure import Exit, say_problems
from agent.cli.local_file import give_to, replace_file, sole_writer
from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile
from agent.cli.setup_answers import Answers, SetupRefused, ask, asks_a_person, asks_for_plain, read_secret, system_zone
from agent.cli.terminal import print_json
from agent.cli.wording import safe

if TYPE_CHECKING:
    from agent.config.fresh import FreshConfig, FreshStore

STATE_DIR = Path("/var/lib/dock-agent")
SERVICE_USER = "dock-agent"
_NAMES = 1000

Station = Annotated[str | None, typer.Option("--station", metavar="NAME", help="The station's name.")]
StoreUrl = Annotated[
    str | None,
    typer.Option("--store", metavar="URL", help="Its evidence store: tus+https://, s3+https://, file:// ..."),
]
StoreName = Annotated[str, typer.Option("--store-name", metavar="NAME", help="What the store is called here.")]


class Kind(StrEnum):
    """The receipts that a store may be asked for, weakest last; the configuration's words."""

    SIGNED = "signed"
    READBACK = "readback"
    CHECKSUM = "checksum"


Require = Annotated[
    Kind | None,
    typer.Option("--require", metavar="KIND", help="The weakest receipt that counts: signed, readback or checksum."),
]
ReceiptKey = Annotated[Path | None, typer.Option("--receipt-key", metavar="FILE", help="The store's public key.")]
Ca = Annotated[Path | None, typer.Option("--ca", metavar="FILE", help="The only authority that the store may show.")]
Credential = Annotated[
    Path | None,
    typer.Option("--credential-from", metavar="FILE", help="Read the store's credential here (-: stdin) and keep it."),
]
Bays = Annotated[
    list[str] | None, typer.Option("--bay", metavar="NAME=FOLDER", help="A bay that is a folder; may be repeated.")
]
PlainFolders = Annotated[
    bool, typer.Option("--plain-folders", help="Folders are bays also while nothing is mounted on them.")
]
StateDir = Annotated[Path, typer.Option("--state-dir", metavar="DIR", help="Where ledger, keys and spool lie.")]
Zone = Annotated[
    str | None, typer.Option("--time-zone", metavar="ZONE", help="Such as Europe/London.", show_default="the machine's")
]
User = Annotated[str, typer.Option("--service-user", metavar="USER", help="Who gets to read the credential.")]
Trial = Annotated[bool, typer.Option("--trial", help="A store on this machine may confirm. Not for evidence.")]
Unsafe = Annotated[bool, typer.Option("--allow-unsafe-spool", help="For trials: any file system may hold the spool.")]
Plain = Annotated[
    bool, typer.Option("--allow-plain-spool", help="Copy cameras though the spool's disk is not encrypted.")
]
Replace = Annotated[bool, typer.Option("--replace", help="Replace a configuration; the old one is kept beside it.")]


def setup(
    *,
    station: Station = None,
    store: StoreUrl = None,
    store_name: StoreName = "central",
    require: Require = None,
    receipt_key: ReceiptKey = None,
    ca: Ca = None,
    credential_from: Credential = None,
    bay: Bays = None,
    plain_folders: PlainFolders = False,
    state_dir: StateDir = STATE_DIR,
    time_zone: Zone = None,
    service_user: User = SERVICE_USER,
    trial: Trial = False,
    allow_unsafe_spool: Unsafe = False,
    allow_plain_spool: Plain = False,
    replace_old: Replace = False,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Write this station's configuration: a few questions, or none with --station.

    What is wrong with it is told as by `check`, and then nothing is written. Secrets go to a file of their own, mode
    0600. Wiping stays off.
    """
    from agent.config.fresh import FreshConfig

    file = config.absolute()
    if file.exists() and not replace_old:
        hint = "Use --replace to write a new one and keep the old one beside it."
        raise SetupRefused(f"{file} is there already and stays as it is.", hint=hint)
    secret = None if credential_from is None else read_secret(credential_from)
    answers = Answers(station, store, store_name, require, receipt_key, ca, secret, tuple(bay or ()))
    if station is None:
        if not asks_a_person(as_json=as_json):
            raise typer.BadParameter("give the station's name; there is nobody to ask", param_hint="--station")
        answers = ask(answers)
        allow_plain_spool = allow_plain_spool or (not answers.bays and asks_for_plain(state_dir.absolute() / "spool"))
    fresh = FreshConfig(
        station=answers.station or "",
        state_dir=state_dir.absolute(),
        time_zone=time_zone or system_zone(),
        bays=answers.folders(),
        must_be_mount=not plain_folders,
        trial=trial,
        allow_unsafe_spool=allow_unsafe_spool,
        allow_plain_spool=allow_plain_spool,
    )
    with sole_writer(file.parent):
        written = _write(file, fresh, answers, service_user)
    _say(written, fresh, as_json=as_json)


@dataclass(frozen=True, slots=True)
class Written:
    """What lies where now."""

    file: Path
    credential: Path | None
    kept: Path | None
    notes: list[str]
    store: str | None


def _write(file: Path, fresh: "FreshConfig", answers: Answers, user: str) -> Written:
    """Put the configuration there once it was checked in its place; else leave everything as it was."""
    from agent.app import check

    with ExitStack() as undo:
        credential = None
        if answers.store_url and answers.credential is not None:
            credential = _keep_secret(file.parent, answers.store_name, answers.credential, user)
            undo.callback(credential.unlink)
        store = answers.store(None if credential is None else credential.name)
        text = replace(fresh, store=store).text()
        candidate = file.with_name(f".{file.name}.candidate")  # beside it: relative paths and conf.d are the same
        undo.callback(lambda: candidate.unlink(missing_ok=True))
        replace_file(candidate, text)
        report = check(candidate)
        if report.problems:
            say_problems([replace(p, file=p.file.replace(str(candidate), str(file))) for p in report.problems])
            raise typer.Exit(Exit.BAD_CONFIG)
        kept = _keep_old(file)
        if kept is not None:
            undo.callback(kept.unlink)
        replace_file(file, text)
        undo.pop_all()
    candidate.unlink()
    notes = [*report.notes, *_without_credential(file, store)]
    return Written(file, credential, kept, notes, None if store is None else store.name)


def _without_credential(file: Path, store: "FreshStore | None") -> list[str]:
    """What to do about a store that asks who comes, and is shown nothing: a replaced configuration may have had it."""
    if store is None or store.credential is not None or not store.url.startswith(("tus+", "s3+")):
        return []
    name = f"{store.name}.credential"
    there = f"{file.parent / name} is there and not used: give it" if (file.parent / name).exists() else "Give it"
    other = f'name a file in its table (credential = "{name}") and run `dock-agent enrol {store.name}`'
    return [f"Store {store.name} is shown no credential. {there} with --credential-from (and --replace), or {other}."]


def _keep_secret(folder: Path, name: str, secret: bytes, user: str) -> Path:
    """Write a credential under a name that nothing has: an old configuration keeps its own. Raises OSError."""
    from agent.files.durable import DurablePart

    fresh = folder / ".credential.part"
    fresh.unlink(missing_ok=True)  # of a run that was killed
    with DurablePart(fresh) as part:
        part.write(secret)
        give_to(fresh, user)
        return _first_free(lambda path: part.publish(path, mode=0o600), folder / f"{Path(name).name}.credential")


def _keep_old(file: Path) -> Path | None:
    """Give the old configuration a second name; None where there is none. Raises OSError."""
    if not file.exists():
        return None
    return _first_free(lambda path: os.link(file, path), file.with_name(f"{file.name}.old"))


def _first_free(place: Callable[[Path], None], wanted: Path) -> Path:
    """Try this name, then the same with -2, -3 ...; nothing that is there is written over."""
    for number in range(1, _NAMES):
        path = wanted if number == 1 else wanted.with_name(f"{wanted.stem}-{number}{wanted.suffix}")
        with suppress(FileExistsError):
            place(path)
            return path
    hint = "Remove those that nobody needs any more."
    raise SetupRefused(f"There are {_NAMES} files like {wanted} already.", hint=hint)


def _say(written: Written, fresh: "FreshConfig", *, as_json: bool) -> None:
    steps = _next_steps(written, fresh)
    if as_json:
        print_json(
            {
                "config": str(written.file),
                "credential": None if written.credential is None else str(written.credential),
                "kept": None if written.kept is None else str(written.kept),
                "notes": written.notes,
                "next": steps,
            }
        )
        return
    print(f"Wrote {safe(str(written.file))}; it was checked and is fine.")
    if written.kept is not None:
        print(f"The old configuration is kept as {safe(str(written.kept))}.")
    for note in written.notes:
        print(f"note: {safe(note)}")
    print("Next:")
    for step in steps:
        print(f"  {safe(step)}")


def _next_steps(written: Written, fresh: "FreshConfig") -> list[str]:
    option = "" if written.file == DEFAULT_CONFIG else f" --config {shlex.quote(str(written.file))}"
    steps = [] if fresh.bays else [f"dock-agent bays learn --count N{option}"]
    if written.store is not None:
        steps.append(f"dock-agent doctor store {written.store}{option}")
    if option:
        return [*steps, f"dock-agent run{option}"]
    return [*steps, f"systemctl {'enable --now' if written.kept is None else 'restart'} dock-agent"]
