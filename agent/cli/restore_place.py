"""Puts the files of a backup in place, and takes them away again when the whole does not succeed."""

import os
import pwd
import stat
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from agent.cli.ending import undisturbed
from agent.cli.restore_stage import RestoreRefused
from agent.cli.service_account import acting_as, name_of

_BLOCK = 1 << 20


class Place:
    """One folder and what is new in it. `rights`: whose rights are enough to write there; None: our own."""

    def __init__(self, undo: ExitStack, rights: pwd.struct_passwd | None, mode: int) -> None:
        """Let `undo` take away what is put here; folders are made with `mode`."""
        self._undo, self.rights, self._mode = undo, rights, mode

    def put(self, source: Path, target: Path, *, secret: bool, owner: pwd.struct_passwd | None = None) -> None:
        """Write a new file; one that is there already must have the same bytes. Raises RestoreRefused, OSError."""
        from agent.files.durable import DurablePart

        with source.open("rb") as stream, acting_as(self.rights):
            if os.path.lexists(target):
                refuse_other(stream.read(), target)
                return
            self.folder(target.parent)
            part_path = target.with_name(f".{target.name}.part")
            part_path.unlink(missing_ok=True)
            with DurablePart(part_path) as part:
                while block := stream.read(_BLOCK):
                    part.write(block)
                if secret and owner is not None:
                    part.give_to(owner.pw_uid, owner.pw_gid)
                with undisturbed():
                    part.publish(target, mode=0o600 if secret else 0o644)
                    self.undo(lambda: target.unlink(missing_ok=True))

    def undo(self, step: Callable[[], object]) -> None:
        """Have `step` done, with the same rights, when the whole does not succeed."""

        def done() -> None:
            with acting_as(self.rights):
                step()

        self._undo.callback(done)

    def folder(self, folder: Path) -> None:
        """Make a folder where there is none. Raises OSError."""
        from agent.files.durable import make_directory

        if not folder.is_dir():
            with undisturbed():
                make_directory(folder, self._mode)
                self.undo(folder.rmdir)


def refuse_other(content: bytes, target: Path) -> None:
    """Refuse when a file that is there has other bytes, or is a link to none. Raises RestoreRefused, OSError."""
    if target.is_symlink() and not target.exists():
        hint = "Remove it, then run this again. Nothing was changed."
        raise RestoreRefused(f"{target} is a link that leads nowhere.", hint=hint)
    if target.read_bytes() != content:
        hint = "Move it away, or keep it and restore on a machine without it. Nothing was changed."
        raise RestoreRefused(f"{target} is there already and is another one than in the backup.", hint=hint)


def make_state_directory(folder: Path, account: pwd.struct_passwd | None, undo: ExitStack) -> bool:
    """Make the state directory for the service's user where there is none; returns whether it did.

    One that is there must be that user's own. As root it is made only below folders of root's that are no links.
    Raises RestoreRefused, OSError.
    """
    from agent.files.durable import make_directory

    if folder.is_dir():
        owner = folder.stat().st_uid
        if owner != (os.geteuid() if account is None else account.pw_uid):
            hint = "Name the service's user with --service-user, or run this as that user. Nothing was changed."
            raise RestoreRefused(f"The state directory {folder} belongs to the user {name_of(owner)}.", hint=hint)
        return False
    if account is not None:
        for above in folder.parents:
            found = _look(above)
            if found is not None and (stat.S_ISLNK(found.st_mode) or found.st_uid != os.geteuid()):
                hint = f"Make {folder} for the service's user yourself. Nothing was changed."
                raise RestoreRefused(f"{above}, above the state directory, is a link or not root's own.", hint=hint)
    make_directory(folder.parent, 0o755)
    with undisturbed():
        folder.mkdir(0o700)
        undo.callback(folder.rmdir)
    if account is not None:
        os.chown(folder, account.pw_uid, account.pw_gid, follow_symlinks=False)
    return True


def _look(path: Path) -> os.stat_result | None:
    try:
        return path.lstat()
    except FileNotFoundError:
        return None
