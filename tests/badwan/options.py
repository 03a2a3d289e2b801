"""What a person writes on the command line, as a line with its shapes and faults."""

import argparse

from tests.badwan.amount import NoAmount, bits_per_second, seconds, size_bytes
from tests.badwan.fault import Ending, Fault, Kind
from tests.badwan.proxy import Address
from tests.badwan.shape import Shape, Way

EPILOG = """\
Bytes are counted on each connection, in the direction that is named; `up`, the default, is what the one who connected
sends. A fault strikes the first connection that gets there, with --every each of them. UP,DOWN: one value for each
direction; a single one is meant for both. With --control, JSON lines on standard input change the line while it runs:
{"latency": "80ms"}  {"rate": "1mbit,8mbit"}  {"rate": null}  {"cut": "reset"}  {"cut": "fin"}  {"stall": "10s"}
{"stall": null}  {"resume": true}  {"black_hole": true}  {"to": "127.0.0.1:8081"}  {"quit": true}
Each is answered by one JSON object with the statistics so far, or with what is wrong."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        prog="scripts/badwan",
        description="A bad TCP line: delays, slows, cuts, stalls, swallows or alters what goes through it.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--listen", type=address, default="127.0.0.1:0", metavar="HOST:PORT", help="default: a free port")
    made.add_argument("--to", type=address, required=True, metavar="HOST:PORT", help="where the line leads")
    made.add_argument("--latency", type=latency, default="0s", metavar="UP[,DOWN]", help="one way, e.g. 50ms")
    made.add_argument(
        "--rate", type=rate, default=(None, None), metavar="UP[,DOWN]", help="of all connections together"
    )
    made.add_argument(
        "--small-only", type=size_bytes, metavar="N", help="more than N bytes at once never arrive: an MTU black hole"
    )
    made.add_argument("--cut-after", type=at_byte, metavar="N[,WAY]", help="end the connection after N bytes")
    ending = made.add_mutually_exclusive_group()
    ending.add_argument("--reset", dest="ending", action="store_const", const=Ending.RESET, default=Ending.RESET)
    ending.add_argument("--fin", dest="ending", action="store_const", const=Ending.FIN, help="how a cut ends it")
    made.add_argument(
        "--stall-after", type=stall, metavar="N[:TIME][,WAY]", help="nothing moves, for ever without TIME"
    )
    made.add_argument(
        "--black-hole-after", type=at_byte, metavar="N[,WAY]", help="nothing moves any more, nobody knows"
    )
    made.add_argument("--corrupt-at", type=at_byte, metavar="N[,WAY]", help="flip a bit of the byte after N")
    made.add_argument("--every", action="store_true", help="on each connection, not on the first one only")
    made.add_argument("--control", action="store_true", help="take JSON lines on standard input")
    made.add_argument("--json", action="store_true", help="statistics as JSON")
    return made


def shapes(found: argparse.Namespace) -> tuple[Shape, Shape]:
    """The shapes up and down."""
    up, down = (
        Shape(latency_s, rate_bit_s, found.small_only)
        for latency_s, rate_bit_s in zip(found.latency, found.rate, strict=True)
    )
    return up, down


def faults(found: argparse.Namespace) -> list[Fault]:
    """The faults at exact bytes."""
    made: list[Fault] = []
    for kind, place in (
        (Kind.CUT, found.cut_after),
        (Kind.BLACK_HOLE, found.black_hole_after),
        (Kind.CORRUPT, found.corrupt_at),
    ):
        if place is not None:
            made.append(Fault(kind, place[0], place[1], found.every, found.ending))
    if found.stall_after is not None:
        (at, way), for_s = found.stall_after
        made.append(Fault(Kind.STALL, at, way, found.every, for_s=for_s))
    return made


def address(text: str) -> Address:
    """Read HOST:PORT, where an IPv6 address stands in brackets. Raises NoAmount."""
    host, _, port = text.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise NoAmount(f"{text!r} is no HOST:PORT, such as 127.0.0.1:8080")
    return host.removeprefix("[").removesuffix("]"), int(port)


def latency(text: str) -> tuple[float, float]:
    """Read UP[,DOWN] times in seconds. Raises NoAmount."""
    up, _, down = text.partition(",")
    return seconds(up), seconds(down or up)


def rate(text: str) -> tuple[float, float]:
    """Read UP[,DOWN] rates in bits per second. Raises NoAmount."""
    up, _, down = text.partition(",")
    return bits_per_second(up), bits_per_second(down or up)


def at_byte(text: str) -> tuple[int, Way]:
    """Read N[,WAY]. Raises NoAmount."""
    at, _, way = text.partition(",")
    try:
        return size_bytes(at), Way(way or "up")
    except ValueError as error:
        raise NoAmount(f"{way!r} is no direction: up or down") from error


def stall(text: str) -> tuple[tuple[int, Way], float | None]:
    """Read N[:TIME][,WAY]. Raises NoAmount."""
    what, comma, way = text.partition(",")
    at, _, time = what.partition(":")
    return at_byte(at + comma + way), seconds(time) if time else None
