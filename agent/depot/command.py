"""What the command line does with a depot, as plain functions: run, enrol, revoke, replace, list, verify.

The depot listens beyond this machine only with TLS, because a bearer token in the clear is a token given away.
"""

import asyncio
import ipaddress
import json
import shlex
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime
from pathlib import Path

from agent.depot.catalogue import FILE as CATALOGUE
from agent.depot.depot import Depot
from agent.depot.listing import Verification, list_uploads, verify
from agent.depot.refusal import DepotError
from agent.depot.replacement import Replacement, replace_station
from agent.depot.server import Tls, serve, take_address
from agent.depot.signing_key import PUBLIC
from agent.depot.stations import FOLDER as STATIONS
from agent.depot.stations import enrol_station, renew_station, revoke_station

__all__ = ["Replacement", "Verification", "enrol", "list_uploads", "replace", "revoke_station", "run_depot", "verify"]

_MAX_PORT = 65535


async def run_depot(  # noqa: PLR0913 - one per option of the command
    directory: Path,
    listen: str,
    *,
    out: Callable[[str], None],
    as_json: bool = False,
    tls_cert: Path | None = None,
    tls_key: Path | None = None,
    client_ca: Path | None = None,
    max_size_bytes: int | None = None,
) -> int:
    """Run a depot until SIGTERM or SIGINT; return the exit code 0.

    `listen` is HOST:PORT. Once it is ready, `out` gets what a person needs, or with `as_json` one JSON object with url,
    receipt_key, receipt_key_id, receipt_key_pem, enrol, tls, problems. Raises DepotError.
    """
    host, port = parse_listen(listen)
    tls = _tls(tls_cert, tls_key, client_ca)
    if tls is None and not _is_loopback(host):
        hint = "Give --tls-cert and --tls-key, or listen on 127.0.0.1."
        raise DepotError(f"the depot does not listen on {host} without TLS", hint=hint)
    address = take_address(host, port, tls)  # first, so that a wrong address leaves no new depot behind
    try:
        depot = Depot(directory, clock=_now, max_size_bytes=max_size_bytes)
    except DepotError:
        address.listener.close()
        raise
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        await serve(
            depot, address, stop=stop, on_ready=lambda url: out(_introduction(depot, url, as_json=as_json)), tls=tls
        )
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
        depot.close()
    return 0


def enrol(directory: Path, station: str, *, new: bool = False, replace: bool = False, renew: bool = False) -> str:
    """Give a station a new credential and return the token, which is shown only this once.

    A depot that was never started is made only when it is said to be `new`: a credential in a mistyped directory
    would be a riddle to whoever uses it. A credential that the station has already is ended only when it is said to
    `replace` it; with `renew` it holds until the new one is used. Raises DepotError.
    """
    if not (new or _is_depot(directory)):
        hint = "Look for a mistake in the path. For a depot that was never started, say --new."
        raise DepotError(f"there is no depot in {directory}; no credential was made", hint=hint)
    if renew:
        return renew_station(directory, station, _now())
    return enrol_station(directory, station, _now(), replace=replace)


def replace(
    directory: Path,
    old: str,
    new: str,
    credential: Path,
    *,
    within: Callable[[], AbstractContextManager[None]] = nullcontext,
) -> Replacement:
    """Let a new station take the place of a lost one; `within`: as in `replace_station`. Raises DepotError."""
    if not _is_depot(directory):
        hint = "Look for a mistake in the path. Nothing was changed."
        raise DepotError(f"there is no depot in {directory}", hint=hint)
    return replace_station(directory, old, new, credential, _now(), within=within)


def _is_depot(directory: Path) -> bool:
    return (directory / CATALOGUE).is_file() or (directory / STATIONS).is_dir()


def parse_listen(listen: str) -> tuple[str, int]:
    """Split HOST:PORT or [IPV6]:PORT. Raises DepotError."""
    host, colon, port = listen.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    host = host[1:-1] if bracketed else host
    fits = colon and host and (bracketed or ":" not in host) and port.isascii() and port.isdigit()
    if not fits or int(port) > _MAX_PORT:
        raise DepotError(f"not an address to listen on: {listen!r}", hint="Write HOST:PORT, such as 127.0.0.1:8430.")
    return host, int(port)


def _tls(certificate: Path | None, key: Path | None, client_ca: Path | None) -> Tls | None:
    if certificate is not None and key is not None:
        return Tls(certificate, key, client_ca)
    if certificate is not None or key is not None or client_ca is not None:
        hint = "Give both --tls-cert and --tls-key; --client-ca is an addition to them."
        raise DepotError("TLS needs a certificate and its key", hint=hint)
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _now() -> datetime:
    return datetime.now(UTC)


def _as_seen(url: str) -> str:
    """The address as other machines have it: what listens on all of its own has one name for them."""
    return url.replace("//0.0.0.0:", "//THIS-MACHINE:").replace("//[::]:", "//THIS-MACHINE:")


def _introduction(depot: Depot, url: str, *, as_json: bool) -> str:
    key = depot.directory / PUBLIC
    enrolling = f"dock-agent depot --dir {shlex.quote(str(depot.directory))} --enrol STATION"
    if as_json:
        facts = {
            "url": url,
            "receipt_key": str(key),
            "receipt_key_id": depot.key.id,
            "receipt_key_pem": depot.key.public_pem,
            "enrol": enrolling,
            "tls": url.startswith("https:"),
            "problems": list(depot.problems),
        }
        return json.dumps(facts)
    lines = [
        f"depot ready: {url}  (in a station's configuration: tus+{_as_seen(url)})",
        f"receipt key {depot.key.id}: {key}",
        depot.key.public_pem.rstrip(),
        f"to give a station a credential: {enrolling}",
        *(f"look at this: {problem}" for problem in depot.problems),
    ]
    return "\n".join(lines)
