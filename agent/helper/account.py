"""The user as whom cameras are read. It is made by the package."""

import pwd

from agent.helper.refusal import Refusal

READER_USER = "dock-reader"


def reader_account() -> pwd.struct_passwd:
    """That user. Raises Refusal."""
    try:
        return pwd.getpwnam(READER_USER)
    except KeyError as error:
        raise Refusal("failed", f"there is no user {READER_USER}; install the package anew") from error
