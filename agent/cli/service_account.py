"""The user that the service runs as: what root does in the folders of that user, it does with no more than its rights.

A link that the service's user made then leads only to where that user could write as well.
"""

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from agent.cli.ending import undisturbed


def account_of(user: str) -> pwd.struct_passwd | None:
    """The service's user, where root asks and there is one; None for a station that runs by hand."""
    if os.geteuid() != 0:
        return None
    try:
        return pwd.getpwnam(user)
    except KeyError:
        return None


def owner_of(folder: Path) -> pwd.struct_passwd | None:
    """The user whose this folder is, where root asks and it is not root's; else None.

    What root left in it that user could not read.
    """
    if os.geteuid() != 0:
        return None
    try:
        owner = folder.stat().st_uid
        return None if owner == 0 else pwd.getpwuid(owner)
    except (OSError, KeyError):
        return None


def name_of(uid: int) -> str:
    """A user as sudo takes it: by name, by number where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"'#{uid}'"


@contextmanager
def acting_as(account: pwd.struct_passwd | None) -> Iterator[None]:
    """Have only the rights of this user until the block ends; None changes nothing. Raises OSError."""
    if account is None:
        yield
        return
    uid, gid, groups = os.geteuid(), os.getegid(), os.getgroups()
    try:
        with undisturbed():
            os.setgroups(os.getgrouplist(account.pw_name, account.pw_gid))
            os.setegid(account.pw_gid)
            os.seteuid(account.pw_uid)
        yield
    finally:
        with undisturbed():
            os.seteuid(uid)
            os.setegid(gid)
            os.setgroups(groups)
