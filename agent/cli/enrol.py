"""`dock-agent enrol` and `renew`: what this station shows to a store, for the first time and when it gets old."""

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.enrol_certificate import install_certificate, pair_of, request_certificate
from agent.cli.enrol_credential import install_credential, waiting_credential
from agent.cli.enrol_trial import EnrolRefused, sharing, store_named
from agent.cli.options import DEFAULT_CONFIG, AsJson, ConfigFile
from agent.cli.setup import SERVICE_USER
from agent.cli.setup_answers import read_secret
from agent.cli.terminal import print_json, say_error
from agent.cli.wording import safe

if TYPE_CHECKING:
    from agent.config import Config
    from agent.config.model import StoreTable

_STDOUT = Path("-")
Store = Annotated[str, typer.Argument(metavar="STORE", help="The store's name in the configuration.")]
CredentialFrom = Annotated[
    Path | None, typer.Option("--credential-from", metavar="FILE", help="Read the credential here (-: stdin).")
]
Csr = Annotated[
    Path | None,
    typer.Option("--csr", metavar="FILE", help="Make a key, and write the request for its certificate (-: stdout)."),
]
Certificate = Annotated[
    Path | None, typer.Option("--certificate", metavar="FILE", help="Put in place what the CA issued for the request.")
]
NewKey = Annotated[bool, typer.Option("--new-key", help="With --csr: another key, also while one waits.")]
Replace = Annotated[bool, typer.Option("--replace", help="Replace what is in place already.")]
Untried = Annotated[bool, typer.Option("--untried", help="Put it in place without asking the store.")]
User = Annotated[str, typer.Option("--service-user", metavar="USER", help="Who gets to read it.")]


@dataclass(frozen=True, slots=True)
class _Wish:
    """What a person asked for: one of the three files, or none to go on with a credential that waits."""

    credential_from: Path | None
    csr: Path | None
    certificate: Path | None
    new_key: bool
    untried: bool
    user: str

    def __post_init__(self) -> None:
        given = [self.credential_from, self.csr, self.certificate]
        if sum(file is not None for file in given) > 1:
            raise typer.BadParameter("give one of --credential-from, --csr and --certificate", param_hint="--csr")
        if self.new_key and self.csr is None:
            raise typer.BadParameter("is said together with --csr", param_hint="--new-key")

    @property
    def about_certificate(self) -> bool:
        return self.csr is not None or self.certificate is not None


def enrol(
    store: Store,
    *,
    credential_from: CredentialFrom = None,
    csr: Csr = None,
    certificate: Certificate = None,
    new_key: NewKey = False,
    replace: Replace = False,
    untried: Untried = False,
    service_user: User = SERVICE_USER,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Give this station its credential or certificate for a store, and ask the store whether it takes it.

    What the store refuses is not put into place. What is there already is only replaced with --replace; see `renew`.
    """
    wish = _Wish(credential_from, csr, certificate, new_key, untried, service_user)
    settings, table = _found(config, store)
    there = [file for file in _files(settings, table, wish) if file.exists()]
    if there and not replace:
        hint = f"When it gets old, use `dock-agent renew {table.name}`. To replace it as it is, say --replace."
        raise EnrolRefused(f"{there[0]} is there already and stays as it is.", hint=hint)
    _carry_out(settings, table, wish, as_json=as_json)


def renew(
    store: Store,
    *,
    credential_from: CredentialFrom = None,
    csr: Csr = None,
    certificate: Certificate = None,
    new_key: NewKey = False,
    untried: Untried = False,
    service_user: User = SERVICE_USER,
    config: ConfigFile = DEFAULT_CONFIG,
    as_json: AsJson = False,
) -> None:
    """Renew this station's credential or certificate for a store; the old one stays in use until the new one is.

    The running service takes it up by itself. With no file a run that was cut off is gone on with.
    """
    wish = _Wish(credential_from, csr, certificate, new_key, untried, service_user)
    settings, table = _found(config, store)
    missing = [file for file in _files(settings, table, wish) if not file.exists()]
    if missing:
        hint = f"For the first one use `dock-agent enrol {table.name}`."
        raise EnrolRefused(f"There is no {missing[0]} that could be renewed.", hint=hint)
    _carry_out(settings, table, wish, as_json=as_json)


def _found(config: Path, name: str) -> "tuple[Config, StoreTable]":
    from agent.config import load_config

    settings = load_config(config, enrolling=True)
    return settings, store_named(settings, name)


def _files(settings: "Config", table: "StoreTable", wish: _Wish) -> list[Path]:
    """What the wish would replace. Raises EnrolRefused."""
    if wish.about_certificate:
        pair = pair_of(settings, table)
        return [pair.certificate, pair.key]
    waiting = waiting_credential(table)
    return [waiting.with_name(waiting.name.removesuffix(".next"))]


def _carry_out(settings: "Config", table: "StoreTable", wish: _Wish, *, as_json: bool) -> None:
    names = [each.name for each in sharing(settings, table, "client_cert" if wish.about_certificate else "credential")]
    taken: list[str] | None = None
    if wish.csr is not None:
        is_new = request_certificate(settings, table, wish.csr, another=wish.new_key)
        told = _of_request(names, wish.csr, is_new=is_new)
        facts = {"request": str(wish.csr), "new_key": is_new}
    elif wish.certificate is not None:
        issued, taken = install_certificate(settings, table, wish.certificate, user=wish.user, untried=wish.untried)
        subject = safe(issued.subject)
        told = f"The certificate of {subject} and its key are in place, until {issued.ends:%Y-%m-%d %H:%M} UTC."
        facts = {"certificate": str(table.client_cert), "ends": issued.ends.isoformat()}
    else:
        secret = _secret(table, wish.credential_from)
        place, taken = install_credential(settings, table, secret, user=wish.user, untried=wish.untried)
        told = f"The credential is in {safe(str(place))}."
        facts = {"credential": str(place)}
    if taken is not None:
        facts["taken"] = taken == names
        told += _of_stores(taken, "takes it", "take it")
        told += _of_stores([name for name in names if name not in taken], "was not asked", "were not asked")
        told += " A running service takes it up by itself."
    if as_json and wish.csr != _STDOUT:
        print_json({"store": table.name, "stores": names, **facts})
    elif wish.csr == _STDOUT:
        say_error(told)
    else:
        print(told)


def _of_stores(names: list[str], one: str, several: str) -> str:
    if not names:
        return ""
    if len(names) == 1:
        return f" Store {names[0]} {one}."
    return f" Stores {', '.join(names[:-1])} and {names[-1]} {several}."


def _of_request(names: list[str], csr: Path, *, is_new: bool) -> str:
    key = "A new key waits" if is_new else "The key that waited already waits on"
    place = "above" if csr == _STDOUT else f"in {safe(str(csr))}"
    return (
        f"{key} for its certificate; what is in use stays in use. Let the CA sign the request {place}, then put it in"
        f" place with --certificate FILE for store {' and '.join(names)}."
    )


def _secret(table: "StoreTable", source: Path | None) -> bytes | None:
    """The credential; None when one from an earlier run waits and no other was given. Raises EnrolRefused, OSError."""
    if source is not None:
        return read_secret(source)
    if waiting_credential(table).exists():
        return None
    if not sys.stdin.isatty():
        raise typer.BadParameter("say where the credential is; - is standard input", param_hint="--credential-from")
    typed: str = typer.prompt(f"Credential for {table.name} (it is not shown)", hide_input=True)
    return f"{typed.strip()}\n".encode()
