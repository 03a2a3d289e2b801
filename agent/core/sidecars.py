"""Files beside a clip, as a profile describes them: what belongs to it, and what marks it."""

from dataclasses import dataclass

from agent.core.path_pattern import Glob


@dataclass(frozen=True, slots=True)
class SidecarRule:
    """A kind of sidecar. Without `suffix` it belongs to the whole medium, not to one clip."""

    glob: Glob
    suffix: bytes | None = None


@dataclass(frozen=True, slots=True)
class Events:
    """How a camera shows that an officer or a sensor marked a clip (besides the name's `event` group)."""

    paths: tuple[Glob, ...] = ()
    sidecar: bytes | None = None


NO_EVENTS = Events()
