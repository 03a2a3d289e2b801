"""Requests a certificate for this station, and puts it into place with its key once it was issued."""

import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.enrol_trial import EnrolRefused, refusing, sharing, try_out
from agent.cli.local_file import give_to, replace_file, sole_writer

if TYPE_CHECKING:
    from agent.config import Config
    from agent.config.model import StoreTable
    from agent.stores.own_certificate import Issued
    from agent.stores.own_pair import OwnPair

_STDOUT = Path("-")
_REQUEST = b"-----BEGIN CERTIFICATE REQUEST-----"


def pair_of(settings: "Config", table: "StoreTable") -> "OwnPair":
    """The names of the store's certificate and key; several stores may share both. Raises EnrolRefused."""
    from agent.stores.own_pair import OwnPair

    if table.client_cert is None or table.client_key is None or table.client_cert == table.client_key:
        hint = f'Name two files in its table first: client_cert = "{table.name}.pem", client_key = "{table.name}.key".'
        raise EnrolRefused(f"Store {table.name} has no `client_cert` and `client_key` of their own.", hint=hint)
    tables, by_key = (sharing(settings, table, key) for key in ("client_cert", "client_key"))
    if tables != by_key:
        others = ", ".join(each.name for each in settings.stores if (each in tables) != (each in by_key))
        hint = "Give each a pair of its own, or both the same two files: one alone cannot be exchanged."
        raise EnrolRefused(f"Store {table.name} shares one of `client_cert` and `client_key` with {others}.", hint=hint)
    return OwnPair(tables[0].name, table.client_cert, table.client_key)


def request_certificate(settings: "Config", table: "StoreTable", csr: Path, *, another: bool) -> bool:
    """Write a request for the key that waits, or for `another` one; returns whether the key is new.

    The pair in use stays in use. Raises EnrolRefused, ConfigError, OSError.
    """
    from agent.stores.own_certificate import make_key, make_request

    pair = pair_of(settings, table)
    if csr != _STDOUT and not _may_write(csr):
        hint = "Name a file that is not there yet; only an earlier request is written over. Nothing was changed."
        raise EnrolRefused(f"{csr} is there already and is no request for a certificate.", hint=hint)
    with sole_writer(pair.certificate.parent):
        waiting = None if another else pair.waiting()
        key = waiting or make_key()
        request = make_request(key, settings.station.id).decode("ascii")
        if waiting is None:
            pair.stage(key)
    if csr == _STDOUT:
        sys.stdout.write(request)
    else:
        replace_file(csr.absolute(), request)
    return waiting is None


def _may_write(csr: Path) -> bool:
    """Whether a request may go there: nobody's key, certificate or configuration may end by a slip. Raises OSError."""
    if not (csr.exists() or csr.is_symlink()):
        return True
    if csr.is_symlink() or not csr.is_file():
        return False
    with csr.open("rb") as stream:
        return stream.read(len(_REQUEST)) == _REQUEST


def install_certificate(
    settings: "Config", table: "StoreTable", file: Path, *, user: str, untried: bool
) -> "tuple[Issued, list[str]]":
    """Put an issued certificate and the key that waits for it into place; returns it, and which stores took it.

    Stores that share the pair are asked as well. Raises EnrolRefused, ConfigError, OSError: then the pair from before
    is as it was, and the key still waits.
    """
    from agent.ledger.custody import utc_now
    from agent.stores.own_certificate import MAX_BYTES, check_certificate

    pair = pair_of(settings, table)

    taken = list[str]()

    def give(path: Path) -> None:
        give_to(path, user)

    with file.open("rb") as stream:
        pem = stream.read(MAX_BYTES + 1)
    with sole_writer(pair.certificate.parent):
        key = pair.waiting()
        if key is None:
            hint = f"Begin with --csr FILE, and let the CA sign that request. Nothing was changed for {table.name}."
            raise EnrolRefused("No key waits here for a certificate.", hint=hint)
        with refusing():
            issued = check_certificate(pem, key, utc_now())
        made = pair.generation(issued.pem, key, give)
        try:
            asked = () if untried else sharing(settings, table, "client_cert")
            try_out(settings, asked, pair=(made / "certificate.pem", made / "key.pem"), taken=taken)
        except BaseException:
            shutil.rmtree(made)
            raise
        pair.install(made, give)
    return issued, taken
