"""`dock-agent restore`: make this machine the station that a backup was taken of."""

import os
import shlex
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.backup_archive import unpack
from agent.cli.ending import all_or_nothing, ended_by_signals, past_ending, undisturbed
from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile, load
from agent.cli.restore_place import Place, make_state_directory, refuse_other
from agent.cli.restore_stage import RestoreRefused, staging
from agent.cli.service_account import account_of, acting_as
from agent.cli.setup import SERVICE_USER, User
from agent.cli.terminal import print_json
from agent.cli.wording import count, safe, shown
from agent.core.backup import CONFIG, LEDGER, LOG, STATE, BackupUnusable, Manifest

if TYPE_CHECKING:
    from agent.config import Config
    from agent.ledger.snapshot import Snapshot

_SHOWN = 20
_MAIN = "agent.toml"
Archive = Annotated[Path, typer.Argument(metavar="FILE", help="A file that `dock-agent backup` wrote.")]


def restore(
    archive: Archive,
    service_user: User = SERVICE_USER,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Put ledger, keys and configuration of a backup here; all of it or nothing.

    Only on a station that has recorded nothing yet. Afterwards nothing is wiped or purged until a person runs
    `dock-agent custody accept`, and then only after the stores were asked again.
    """
    file = config.absolute()
    with ended_by_signals(), staging(file.parent) as stage:
        manifest = unpack(archive, stage)
        found = _verify(stage, manifest)
        settings = _planned(stage, manifest, file)
        _refuse_here(settings, manifest)
        with all_or_nothing() as undo:
            missing = _put(_Restored(stage, manifest, found, settings, file), service_user, undo)
    _say(manifest, settings, missing, as_json=as_json)


@dataclass(frozen=True, slots=True)
class _Restored:
    """A backup that was looked at, the ledger's state in it, and the configuration as it will be."""

    stage: Path
    manifest: Manifest
    found: "Snapshot"
    settings: "Config"
    file: Path

    def target_of(self, path: str) -> Path:
        """Where a file of the configuration goes."""
        return _config_target(self.file, path)


def _verify(stage: Path, manifest: Manifest) -> "Snapshot":
    """See that ledger and custody log are what the manifest says, and one the other. Raises AgentError."""
    from threading import Event

    from agent.ledger.audit import audit
    from agent.ledger.migrations import newest_schema
    from agent.ledger.snapshot import inspect, lines_of, reading

    ledger = stage / LEDGER
    found = inspect(ledger)
    if (found.schema, found.events, found.head) != (manifest.schema, manifest.events, manifest.head):
        raise BackupUnusable("The ledger in the backup is not the one that its manifest names.")
    if found.schema > newest_schema():
        text = f"The ledger in the backup has schema {found.schema}, this agent knows only {newest_schema()}."
        raise RestoreRefused(text, hint=f"Install dock-agent {manifest.agent} or newer first. Nothing was changed.")
    with reading(ledger) as connection, (stage / LOG).open("rb") as log:
        for line in lines_of(connection):
            if log.readline() != f"{line}\n".encode("utf-8", "surrogateescape"):
                raise BackupUnusable("The custody log in the backup is not that of its ledger.")
        if log.read(1):
            raise BackupUnusable("The custody log in the backup is not that of its ledger.")
    if found.schema == newest_schema():  # an older one is gone through after the service has started
        fault = audit(ledger, Event()).fault
        if fault is not None:
            raise BackupUnusable(f"The ledger in the backup is damaged: {fault}")
    return found


def _config_target(file: Path, path: str) -> Path:
    return file if path == _MAIN else file.parent / path


def _planned(stage: Path, manifest: Manifest, file: Path) -> "Config":
    """The configuration as it will be, before anything of it is where a running service looks.

    Raises RestoreRefused when another file is in the way, ConfigErrors, OSError.
    """
    from agent.config import load_config
    from agent.config.load import config_files

    base = stage / CONFIG
    for path, kept in manifest.in_part(CONFIG):
        target = _config_target(file, path)
        if os.path.lexists(target):
            refuse_other((stage / kept.name).read_bytes(), target)
    for here in config_files(file)[1:]:  # what stands here besides counts as well
        planned = base / here.relative_to(file.parent)
        if not planned.exists():
            planned.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            planned.write_bytes(here.read_bytes())
    return load_config(base / _MAIN, place=file)


def _refuse_here(settings: "Config", manifest: Manifest) -> None:
    """Refuse another station's backup, a running service, and a clock that is behind. Raises RestoreRefused."""
    from agent.cli.service import find_service
    from agent.ledger.custody import utc_now

    if settings.station.id != manifest.station:
        text = f"The backup is of station {manifest.station}, this one is {settings.station.id}."
        raise RestoreRefused(text, hint="A station's ledger belongs to it alone. Nothing was changed.")
    if find_service(settings.api.socket) is not None:
        raise RestoreRefused("The service runs.", hint="Stop it first: systemctl stop dock-agent. Nothing was changed.")
    now = utc_now()
    if now < manifest.made:
        text = f"The clock of this machine shows {now:%Y-%m-%d %H:%M} UTC; the backup was made at {manifest.made_at}."
        raise RestoreRefused(text, hint="Set the clock, then run this again. Nothing was changed.")


def _put(restored: _Restored, service_user: str, undo: ExitStack) -> list[dict[str, Any]]:
    """Put all in place; returns the clips whose bytes the spool lacks.

    The state comes first and the main file of the configuration last: without it no service begins, so that one killed
    on the way leaves nothing that could be taken for a station. Raises RestoreRefused, OSError.
    """
    from agent.app import ledger_path
    from agent.ledger.database import sole_owner

    account, settings = account_of(service_user), restored.settings
    ledger = ledger_path(settings)
    state, config = Place(undo, account, 0o700), Place(undo, None, 0o755)
    if make_state_directory(ledger.parent, account, undo):
        state.undo(lambda: ledger.with_suffix(".lock").unlink(missing_ok=True))
    with ExitStack() as locked:
        with acting_as(account):
            locked.enter_context(sole_owner(ledger))
        missing = _put_state(restored, ledger, state)
        parts = [part for part in restored.manifest.in_part(CONFIG) if part[0] != _MAIN]
        for path, kept in parts:
            config.put(restored.stage / kept.name, restored.target_of(path), secret=kept.secret, owner=account)
        _check_in_place(restored)
        main = restored.manifest.named(f"{CONFIG}/{_MAIN}")
        with undisturbed():
            config.put(restored.stage / main.name, restored.file, secret=main.secret, owner=account)
            past_ending()
    return [
        {"clip": clip, "camera": camera, "name": _name(path), "state": custody}
        for clip, camera, path, custody in missing
    ]


def _put_state(restored: _Restored, ledger: Path, state: Place) -> list[tuple[str, str, bytes, str]]:
    """Put what is known of the stores and the ledger in place; one that an earlier restoration put there stays."""
    from agent.ledger.custody import utc_now
    from agent.ledger.restored import note_restored, restoration, restored_at
    from agent.ledger.snapshot import is_restored, missing_clips

    stage, manifest, settings = restored.stage, restored.manifest, restored.settings
    with acting_as(state.rights):
        is_here = is_restored(ledger, restored.found) and restored_at(ledger) is not None
        if not is_here:
            _refuse_history(ledger)
    missing = missing_clips(stage / LEDGER, settings.station.state_dir / "spool")
    for path, kept in manifest.in_part(STATE):
        target = settings.station.state_dir / path
        if not target.exists():  # else what is known of a store here is newer
            state.put(stage / kept.name, target, secret=kept.secret)
    if is_here:
        return missing
    _begin_in_doubt(stage / LEDGER, settings, manifest)
    moment = restoration(stage / LEDGER, manifest.made, utc_now())
    with acting_as(state.rights):
        with undisturbed():
            note = note_restored(ledger, moment)
            state.undo(lambda: note.unlink(missing_ok=True))
        for empty in (ledger, *(ledger.with_name(ledger.name + end) for end in ("-wal", "-shm"))):
            empty.unlink(missing_ok=True)  # it was looked at: nothing is recorded in it
    state.put(stage / LEDGER, ledger, secret=True)
    return missing


def _check_in_place(restored: _Restored) -> None:
    """See that the configuration holds where it will lie, before its main file goes there. Raises ConfigErrors."""
    from agent.config import ConfigErrors

    if restored.file.exists():
        load(restored.file)
        return
    candidate = restored.file.with_name(f".{restored.file.name}.candidate")  # relative paths and conf.d are the same
    candidate.unlink(missing_ok=True)
    with all_or_nothing() as undo:
        undo.callback(lambda: candidate.unlink(missing_ok=True))
        candidate.touch(0o600, exist_ok=False)
        candidate.write_bytes((restored.stage / CONFIG / _MAIN).read_bytes())
        try:
            load(candidate)
        except ConfigErrors as error:
            told = [replace(p, file=p.file.replace(str(candidate), str(restored.file))) for p in error.problems]
            raise ConfigErrors(told) from error
    candidate.unlink()


def _refuse_history(ledger: Path) -> None:
    from agent.ledger.snapshot import has_history

    if has_history(ledger):
        hint = (
            "If it is of this backup already, take what is missing of the configuration from the archive with tar."
            f" If it is to go all the same, move {ledger} and {ledger.name}-wal away first and keep them."
            " Nothing was changed."
        )
        raise RestoreRefused(f"This station has a ledger of its own already: {ledger}.", hint=hint)


def _begin_in_doubt(ledger: Path, settings: "Config", manifest: Manifest) -> None:
    """Bring the copy to this agent's schema, and record in it that it comes from a backup."""
    from agent.app import make_recorder
    from agent.ledger import doubts
    from agent.ledger.database import Database

    recorder = make_recorder(settings)
    database = Database.open(ledger)
    try:
        database.run_blocking(lambda tx: doubts.restored(tx, recorder, manifest.made_at, manifest.head))
    finally:
        database.close()


def _name(path: bytes) -> Any:  # noqa: ANN401 - text, or an object for bytes that are none
    from agent.core.clip import display_name

    return display_name(path)


def _say(manifest: Manifest, settings: "Config", missing: list[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        told = {"station": manifest.station, "made_at": manifest.made_at, "config": str(settings.source)}
        told |= {"state_dir": str(settings.station.state_dir)}
        print_json({**told, "events": manifest.events, "head": manifest.head, "not_in_the_spool": missing})
        return
    print(f"Station {safe(manifest.station)} is here again, as it was at {safe(manifest.made_at)}:")
    print(f"{count(manifest.events, 'custody event')}, head {manifest.head}; every digest fits.")
    print(f"Ledger and keys lie in {safe(str(settings.station.state_dir))}.")
    if Path(os.path.normpath(settings.station.state_dir)).is_relative_to(settings.source.parent):
        print(
            "note: that is beside the configuration, because state_dir is written so. The package's service may write"
            " to /var/lib/dock-agent only: have it there, or allow its place (ReadWritePaths=, dock-agent(8))."
        )
    if missing:
        print(f"{count(len(missing), 'clip')} should be in the spool and not one of their bytes is here:")
    for clip in missing[:_SHOWN]:
        print(f"  {shown(clip['clip'])}  {shown(clip['camera'])}  {shown(clip['name'])}  {shown(clip['state'])}")
    if len(missing) > _SHOWN:
        print(f"  and {len(missing) - _SHOWN} more; --json lists them all")
    print("Nothing is wiped or purged until a person takes the ledger over; the stores are asked again before.")
    print("Next:")
    option = "" if settings.source == DEFAULT_CONFIG else f" --config {safe(shlex.quote(str(settings.source)))}"
    print(f"  {f'dock-agent run{option}' if option else 'systemctl start dock-agent'}")
    print(f"  dock-agent doctor store NAME{option}      # for each store, if this is another machine")
    print(f'  dock-agent custody accept --reason "..."{option}')
