"""A reading of the medium's own bytes, for a digest that nobody has to believe."""

import hashlib

from agent.core.clip import Entry
from agent.core.errors import ClipUnreadable
from agent.core.object import Digest
from agent.ports import Camera, Mark


async def read_digest(camera: Camera, entry: Entry) -> tuple[Digest, Mark] | None:
    """Hash the medium's own bytes, not cached pages; None when the file is no longer as it was listed.

    The mark names the very file that was read.
    """
    digest = hashlib.sha256()
    try:
        mark = await camera.read(entry, digest.update, fresh=True)
    except ClipUnreadable:
        return None
    return Digest(digest.hexdigest()), mark
