"""What a changed configuration may not change while the agent runs."""

from agent.config.load import ConfigErrors, ConfigProblem
from agent.config.model import Config, StoreTable

_SPOOL = {"allow_unsafe_spool", "allow_plain_spool", "reserve_bytes"}


def refuse_what_needs_a_restart(started: Config, changed: Config) -> None:
    """Compare with what the agent was started with. Raises ConfigErrors: nothing is half taken over."""

    def refuse(key: str, reason: str) -> None:
        raise ConfigErrors([ConfigProblem(str(changed.source), key, reason)])

    if (changed.station.id, changed.station.state_dir) != (started.station.id, started.station.state_dir):
        refuse("station", "id and state_dir need a restart")
    if (_fixed(changed.stores), changed.api, changed.upload) != (_fixed(started.stores), started.api, started.upload):
        refuse("", "[[stores]] (but for limit and hours), [api] and [upload] need a restart")
    if (changed.usb.helper, changed.usb.readers) != (started.usb.helper, started.usb.readers):
        refuse("usb", "helper and readers need a restart")
    if changed.station.model_dump(include=_SPOOL) != started.station.model_dump(include=_SPOOL):
        refuse("station", "the spool's settings need a restart")


def _fixed(stores: tuple[StoreTable, ...]) -> list[StoreTable]:
    return [store.model_copy(update={"limit": "none", "hours": ()}) for store in stores]
