"""What the operator decided, for flows that are measured without bays."""

from agent.ports import StorePolicy
from agent.services.kit import Settings


def settings_for(policy: StorePolicy, workers: int) -> Settings:
    """One store, one copy, nothing is wiped."""
    return Settings(
        station="hub7",
        digest="",
        copies=1,
        wiping=False,
        trial=False,
        enrolled=("*",),
        profiles=(),
        fallback=None,
        stores=(policy,),
        keep_s=0,
        workers=workers,
    )
