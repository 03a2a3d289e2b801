"""A station at the end of a shift: bays in every state a person may find."""

from agent.ports import JsonObject
from tests.fakes.desk import bay_view, empty_bay

DONE = {"listed": 0, "spooled": 0, "confirmed": 0, "quarantined": 0}


def _make(number: int) -> JsonObject:
    name = str(number)
    full = {"done_bytes": 3_400_000_000, "total_bytes": 3_400_000_000, "rate_bytes_s": 0, "until_s": None}
    match (number - 1) % 8:
        case 0:
            return bay_view(
                name, "take", **full, clips=DONE, reason="all footage is in the evidence store; the camera is clear"
            )
        case 1:
            return bay_view(name, "wait")
        case 2:
            return bay_view(
                name,
                "take, footage still aboard",
                **full,
                clips={**DONE, "spooled": 7, "confirmed": 5},
                reason="all copied; 7 clips on the way to the evidence store",
            )
        case 3:
            return bay_view(
                name,
                "do not remove",
                **full,
                clips={**DONE, "confirmed": 12},
                reason="the camera is being cleared",
            )
        case 4:
            return bay_view(
                name,
                "wait",
                reason="copying, 31 clips left",
                clips={**DONE, "listed": 31, "spooled": 9},
                seized="Case 2291/26",
                done_bytes=5_100_000_000,
                total_bytes=18_400_000_000,
                until_s=1_020.0,
                rate_bytes_s=12_800_000,
            )
        case 5:
            return empty_bay(name)
        case 6:
            problem = "The camera stopped answering. Take it out and put it back."
            return bay_view(
                name,
                "take, footage still aboard",
                reason=problem,
                problem=problem,
                clips={**DONE, "listed": 3, "spooled": 4, "quarantined": 1},
                until_s=None,
                strikes=3,
            )
        case _:
            return bay_view(
                name,
                "wait",
                reason="finding out which camera this is and what is on it",
                camera=None,
                clips=DONE,
                done_bytes=0,
                total_bytes=0,
                until_s=None,
                battery_percent=None,
            )


def bays(count: int) -> list[JsonObject]:
    return [_make(number) for number in range(1, count + 1)]
