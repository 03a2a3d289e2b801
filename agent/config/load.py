"""Reads and checks the configuration: all mistakes at once, each with file and key."""

import hashlib
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from agent.config.bays import check_bays
from agent.config.merge import Key, Merged
from agent.config.model import Api, Config, Model, StoreTable
from agent.core.errors import ConfigError
from agent.core.object import ReceiptKind
from agent.devices.table_mistake import reason_of

FILE_MAX_BYTES = 1 << 20
_OTHERS = 0o077
_SECRET_FILES = ("credential", "client_key", "proxy_credential")
_SHOWN = ("credential", "client_cert", "client_key")
"""What a station shows to a store; `dock-agent enrol` brings it."""
_STORE_FILES = ("receipt_key", "ca", "client_cert", *_SECRET_FILES)
_OF_NETWORK = ("proxy", "interface", "source")


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One mistake. `key` is dotted, with list positions; empty when the whole file is meant."""

    file: str
    key: str
    reason: str

    def __str__(self) -> str:
        """As a person reads it; no colon stands for a key that there is none of."""
        return ": ".join(part for part in (self.file, self.key, self.reason) if part)


class ConfigErrors(ConfigError):
    """Everything that is wrong with the configuration."""

    hint = "Correct the file and run `dock-agent check`."

    def __init__(self, problems: list[ConfigProblem]) -> None:
        """`problems` is never empty."""
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


def load_config(path: Path, *, place: Path | None = None, enrolling: bool = False) -> Config:
    """Read `path` and `conf.d/*.toml` beside it. Raises ConfigErrors.

    Of a configuration that is yet to be put at `place`, paths are as seen from there, and what they name is not
    looked at. While the station is `enrolling`, what it shows to its stores may still be missing.
    """
    path = path.absolute()
    merged, problems = Merged(), list[ConfigProblem]()
    digest = hashlib.sha256()
    for file in config_files(path):
        try:
            raw = read_config_file(file)
            digest.update(raw)
            merged.add(tomllib.loads(raw.decode("utf-8")), file)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            problems.append(ConfigProblem(str(file), "", _say(error)))
    if problems:
        raise ConfigErrors(problems)
    try:
        model = Model.model_validate(merged.tables)
    except ValidationError as error:
        found = [_problem(merged, path, e["loc"], reason_of(e, Model)) for e in error.errors(include_url=False)]
        raise ConfigErrors(found) from error
    config = _resolve(model, place or path, digest)
    if place is not None:
        return config
    problems = [_problem(merged, path, key, reason) for key, reason in _check(config, enrolling=enrolling)]
    if problems:
        raise ConfigErrors(problems)
    return config


def config_files(path: Path) -> list[Path]:
    """The main file and those in `conf.d` beside it, in the order in which they count."""
    return [path, *sorted((path.parent / "conf.d").glob("*.toml"))]


def read_config_file(file: Path) -> bytes:
    """Its bytes. Raises OSError, also when it is larger than FILE_MAX_BYTES."""
    with file.open("rb") as stream:
        raw = stream.read(FILE_MAX_BYTES + 1)
    if len(raw) > FILE_MAX_BYTES:
        raise OSError(0, f"larger than {FILE_MAX_BYTES} bytes")
    return raw


def _say(error: OSError | UnicodeDecodeError | tomllib.TOMLDecodeError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file; run `dock-agent setup`, or name yours with --config"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return f"is not valid TOML: {error}"


def _problem(merged: Merged, main: Path, key: Key, reason: str) -> ConfigProblem:
    return ConfigProblem(str(merged.origin(key, main)), ".".join(map(str, key)), reason)


def _resolve(model: Model, source: Path, digest: "hashlib._Hash") -> Config:
    """Make every path absolute, as seen from the main file's folder, and fill in defaults."""
    base = source.parent

    def absolute(path: Path | None) -> Path | None:
        return None if path is None else base / path

    state_dir = base / model.station.state_dir
    directory = absolute(model.profiles.directory) or bundled_profiles()
    for profile in sorted(directory.glob("*.toml")):
        digest.update(profile.read_bytes() if profile.is_file() else b"")
    stores = tuple(
        s.model_copy(
            update={
                **{k: absolute(getattr(s, k)) for k in _STORE_FILES},
                "url": f"axis:{base / s.url.removeprefix('axis:')}" if s.url.startswith("axis:") else s.url,
            }
        )
        for s in model.stores
    )
    bays = tuple(
        b.model_copy(update={"folder": absolute(b.folder), "simulated": absolute(b.simulated)}) for b in model.bays
    )
    return Config(
        source=source,
        digest=digest.hexdigest(),
        watched=(source, base / "conf.d", directory),
        station=model.station.model_copy(update={"state_dir": state_dir}),
        bays=bays,
        imports=tuple(i.model_copy(update={"folder": base / i.folder}) for i in model.imports),
        stores=stores,
        confirm=model.confirm,
        wipe=model.wipe,
        cameras=model.cameras,
        profiles_directory=directory,
        upload=model.upload,
        bandwidth=model.bandwidth,
        usb=model.usb.model_copy(update={"helper": base / model.usb.helper, "readers": base / model.usb.readers}),
        api=Api(listen=model.api.listen, socket=absolute(model.api.socket) or state_dir / "api.sock"),
    )


def bundled_profiles() -> Path:
    """The profiles that came with the agent: beside the checkout's code, or where the package put them."""
    checkout = Path(__file__).parents[2] / "config" / "profiles"
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share" / "dock-agent" / "profiles"


def named_files(config: Config) -> list[Path]:
    """Keys, certificates and credentials that the stores' tables name, each once."""
    found = [getattr(store, key) for store in config.stores for key in _STORE_FILES]
    found += [Path(s.url.removeprefix("axis:")) for s in config.stores if s.url.startswith("axis:")]
    return list(dict.fromkeys(file for file in found if file is not None))


def _check(config: Config, *, enrolling: bool = False) -> list[tuple[Key, str]]:
    """What single values cannot show."""
    found: list[tuple[Key, str]] = []
    stores = [s.name for s in config.stores]
    found += [(("stores",), f"two stores are named {n!r}") for n in sorted({n for n in stores if stores.count(n) > 1})]
    if config.stores and config.confirm.copies > len(config.stores):
        found.append((("confirm", "copies"), f"more copies than stores ({len(config.stores)})"))
    found += check_bays(config)
    for number, store in enumerate(config.stores):
        found += [(("stores", number, key), reason) for key, reason in _check_store(store, enrolling=enrolling)]
    return found


def _check_store(store: StoreTable, *, enrolling: bool = False) -> list[tuple[str, str]]:
    found = []
    for key in _STORE_FILES:
        file: Path | None = getattr(store, key)
        if enrolling and key in _SHOWN and file is not None and not file.exists():
            continue
        if file is not None and not file.is_file():
            found.append((key, f"there is no file {file}"))
    for key in _SECRET_FILES:
        secret: Path | None = getattr(store, key)
        if secret is not None and secret.is_file() and secret.stat().st_mode & _OTHERS:
            found.append((key, f"other users can read {secret}; run: chmod 600 {secret}"))
    if store.kind is ReceiptKind.SIGNED and store.url.startswith("tus+") and store.receipt_key is None:
        found.append(("receipt_key", "signed receipts are required, so the store's public key is needed"))
    if store.url.startswith("file:") and (store.limit != "none" or store.hours):
        found.append(("limit", "a directory is written at its own speed; only stores behind a network can be limited"))
    if store.url.startswith("file:"):
        found += [
            (key, "a directory is reached through no network of ours") for key in _OF_NETWORK if getattr(store, key)
        ]
    if store.proxy_credential is not None and store.proxy is None:
        found.append(("proxy_credential", "there is no proxy to show it to"))
    return found
