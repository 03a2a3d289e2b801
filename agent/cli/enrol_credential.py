"""Puts a credential into its place: checked, tried, and never lost on the way.

A depot ends the old credential at the first use of the new one, and the trial is that use. So the new one is durable
beside the old one before it is tried, and whoever is cut off in between goes on with it. It is thrown away only when
the store itself refuses it in the very run that brought it: a proxy or a network's log-in page says no as well, and by
then the store may have ended the old one.
"""

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.enrol_trial import EnrolRefused, NotTaken, refusing, sharing, try_out
from agent.cli.local_file import give_to, sole_writer

if TYPE_CHECKING:
    from agent.config import Config
    from agent.config.model import StoreTable


def waiting_credential(table: "StoreTable") -> Path:
    """Where a credential lies until it is in use. Raises EnrolRefused."""
    if table.credential is None:
        hint = f'Name a file in its table first, such as credential = "{table.name}.credential".'
        raise EnrolRefused(f"Store {table.name} has no `credential` in the configuration.", hint=hint)
    return table.credential.with_name(f"{table.credential.name}.next")


def install_credential(
    settings: "Config", table: "StoreTable", secret: bytes | None, *, user: str, untried: bool
) -> tuple[Path, list[str]]:
    """Put a credential into place, or with None the one that waits; returns where, and which stores took it.

    Stores that share its file are asked as well. Raises EnrolRefused, OSError: then the one from before is as it was.
    """
    waiting = waiting_credential(table)
    target = waiting.with_name(waiting.name.removesuffix(".next"))
    tables, taken = sharing(settings, table, "credential"), list[str]()
    with sole_writer(target.parent):
        if secret is not None:
            _keep(waiting, secret, user)
        try:
            with refusing():
                for each in tables:
                    _check_form(each, waiting)
        except EnrolRefused:
            waiting.unlink()  # nothing can ever be done with it
            raise
        try:
            with refusing():
                try_out(settings, () if untried else tables, credential=waiting, taken=taken)
        except EnrolRefused as error:
            if isinstance(error, NotTaken) and secret is not None and not taken:  # one that took it knows no other now
                waiting.unlink()
                raise
            hint = f"{error.hint} The credential is kept in {waiting} until then; it need not be given again."
            raise type(error)(str(error), hint=hint) from error
        from agent.files.durable import sync_directory

        waiting.replace(target)
        sync_directory(target.parent)
    return target, taken


def _check_form(table: "StoreTable", file: Path) -> None:
    """Raises ConfigError."""
    if table.url.startswith("s3+"):
        from agent.stores.s3_credential import S3Credential

        S3Credential.read(file)
    else:
        from agent.stores.credential import read_credential

        read_credential(file)


def _keep(waiting: Path, secret: bytes, user: str) -> None:
    from agent.files.durable import DurablePart, sync_directory

    part_path, fresh = (waiting.with_name(f".{waiting.name}.{end}") for end in ("part", "new"))
    for left in (part_path, fresh):  # of a run that was killed
        with suppress(FileNotFoundError):
            left.unlink()
    with DurablePart(part_path) as part:
        part.write(secret)
        give_to(part_path, user)
        part.publish(fresh, mode=0o600)
    fresh.replace(waiting)
    sync_directory(waiting.parent)
