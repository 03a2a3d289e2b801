"""Whether a store takes what this station would show to it from now on: asked once, before it is put into place."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from agent.cli.terminal import say_error
from agent.core.errors import AgentError, ConfigError, Remedy, StoreError, StoreRefused

if TYPE_CHECKING:
    from agent.config import Config
    from agent.config.model import StoreTable


class EnrolRefused(AgentError):
    """Nothing was put into place."""

    code, remedy = "cli.enrol_refused", Remedy.HALT


class NotTaken(EnrolRefused):
    """The store does not accept what it was shown."""


class NotAsked(EnrolRefused):
    """The store could not be asked, so that nobody knows whether it would take it."""

    code = "cli.enrol_not_asked"


@contextmanager
def refusing() -> Iterator[None]:
    """What is wrong with what was handed out is no mistake in the configuration."""
    try:
        yield
    except ConfigError as error:
        raise EnrolRefused(error.sentence(), hint=error.hint) from error


def store_named(settings: "Config", name: str) -> "StoreTable":
    """The table of a store. Raises EnrolRefused."""
    found = next((each for each in settings.stores if each.name == name), None)
    if found is None:
        known = ", ".join(each.name for each in settings.stores) or "none"
        raise EnrolRefused(f"There is no store {name}; known are: {known}.", hint="Look at [[stores]].")
    if found.url.startswith("file:"):
        raise EnrolRefused(f"Store {name} is a directory.", hint="It asks nobody for a credential; nothing is needed.")
    return found


def sharing(settings: "Config", table: "StoreTable", key: str) -> "list[StoreTable]":
    """The stores that name the same file under `key`, this one among them, in the order of the configuration.

    What is put in place there is put in place for all of them.
    """
    return [each for each in settings.stores if getattr(each, key) == getattr(table, key)]


def try_out(
    settings: "Config",
    tables: "Sequence[StoreTable]",
    *,
    credential: Path | None = None,
    pair: tuple[Path, Path] | None = None,
    taken: list[str],
) -> None:
    """Ask each store, and add to `taken` the names of those that take it. Raises what `_try_at` raises."""
    for table in tables:
        if _try_at(settings, table, credential, pair):
            taken.append(table.name)  # noqa: PERF401 - it counts also when the next one refuses


def _try_at(settings: "Config", table: "StoreTable", credential: Path | None, pair: tuple[Path, Path] | None) -> bool:
    """Ask the store with a credential, or a certificate and its key, in the place of those that are configured.

    False when it cannot be asked yet, which is said: the other of the two is still missing, or it is of a kind that is
    not asked. Raises NotAsked when it does not answer, NotTaken when it does not accept what it is
    shown, EnrolRefused when it or a proxy refuses to be asked at all, ConfigError.
    """
    from agent.config.adapters import store_settings
    from agent.ledger.custody import utc_now
    from agent.stores.answer import CredentialRefused
    from agent.stores.knock import knock
    from agent.stores.proxy import ProxyCredentialRefused
    from agent.stores.throttle import Throttle

    cert, key = pair or (table.client_cert, table.client_key)
    shown = replace(
        store_settings(table, Throttle()), credential=credential or table.credential, client_cert=cert, client_key=key
    )
    missing = [str(file) for file in (shown.credential, cert, key) if file is not None and not file.is_file()]
    if missing or table.url.startswith("axis:"):
        why = (
            f"{' and '.join(missing)} still missing" if missing else "a content destination is asked at its own log-in"
        )
        say_error(f"Store {table.name} was not asked whether it takes it: {why}.")
        return False
    try:
        asyncio.run(knock(shown, settings.station.id, utc_now))
    except StoreRefused as error:
        hint = f"Nothing was put into place. {error.hint}"
        by_store = isinstance(error, CredentialRefused) and not isinstance(error, ProxyCredentialRefused)
        raise (NotTaken if by_store else EnrolRefused)(error.sentence(), hint=hint) from error
    except StoreError as error:
        hint = "Nothing was put into place yet. Run it again once the store answers, or with --untried without asking."
        raise NotAsked(error.sentence(), hint=hint) from error
    return True
