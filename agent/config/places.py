"""What `check` sees of the folders that the configuration names: not wrong, but worth saying before a shift begins.

Rules: only `check` looks, for a person who waits: a folder may lie on a medium that hangs, and the service must not.
"""

import stat
from pathlib import Path

from agent.config.model import Config
from agent.stores.client import directory_of


def place_notices(config: Config) -> list[str]:
    """List them, in plain sentences. Blocks on the folders' disks."""
    folders = [(f"Bay {b.name}", folder) for b in config.bays if (folder := b.folder or b.simulated) is not None]
    folders += [(f"Import {each.name}", each.folder) for each in config.imports]
    notices = [f"{whose}: {why}." for whose, folder in folders if (why := _why_absent(folder))]
    notices += [
        f"Bay {bay.name} is a folder that need not be a mount point: what comes into it while it is occupied is not"
        " seen before it was empty. Where cards are mounted, set must_be_mount = true; a folder into which files are"
        " copied belongs under [[imports]]."
        for bay in config.bays
        if bay.folder is not None and not bay.must_be_mount
    ]
    directories = [(s.name, directory_of(s.url)) for s in config.stores if s.url.startswith("file:")]
    notices += [
        f"Store {name}: {why}. Nothing reaches the store until it is there; create it, or mount what belongs there."
        for name, directory in directories
        if (why := _why_absent(directory))
    ]
    return notices


def _why_absent(folder: Path) -> str | None:
    """Why there is no folder to use; None where there is one."""
    try:
        return None if stat.S_ISDIR(folder.stat().st_mode) else f"{folder} is not a folder"
    except (FileNotFoundError, NotADirectoryError):
        return f"there is no folder {folder}"
    except OSError as error:
        return f"{folder} cannot be looked at ({error.strerror})"
