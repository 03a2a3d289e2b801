"""Reads and checks the configuration: all mistakes at once, each with file and key."""

import hashlib
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from agent.config.merge import Key, Merged
from agent.config.model import Api, Config, Model, StoreTable
from agent.core.errors import ConfigError
from agent.core.object import ReceiptKind

FILE_MAX_BYTES = 1 << 20
_OTHERS = 0o077


@dataclass(frozen=True, slots=True)
class ConfigProblem:
    """One mistake. `key` is dotted, with list positions; empty when the whole file is meant."""

    file: str
    key: str
    reason: str


class ConfigErrors(ConfigError):
    """Everything that is wrong with the configuration."""

    hint = "Correct the file and run `dock-agent check`."

    def __init__(self, problems: list[ConfigProblem]) -> None:
        """`problems` is never empty."""
        super().__init__("\n".join(f"{p.file}: {p.key}: {p.reason}" for p in problems))
        self.problems = problems


def load_config(path: Path) -> Config:
    """Read `path` and `conf.d/*.toml` beside it. Raises ConfigErrors."""
    path = path.absolute()
    merged, problems = Merged(), list[ConfigProblem]()
    digest = hashlib.sha256()
    for file in [path, *sorted((path.parent / "conf.d").glob("*.toml"))]:
        try:
            raw = _read(file)
            digest.update(raw)
            merged.add(tomllib.loads(raw.decode("utf-8")), file)
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            problems.append(ConfigProblem(str(file), "", _say(error)))
    if problems:
        raise ConfigErrors(problems)
    try:
        model = Model.model_validate(merged.tables)
    except ValidationError as error:
        raise ConfigErrors([_problem(merged, path, e["loc"], e["msg"]) for e in error.errors()]) from error
    config = _resolve(model, path, digest)
    problems = [_problem(merged, path, key, reason) for key, reason in _check(config)]
    if problems:
        raise ConfigErrors(problems)
    return config


def _read(file: Path) -> bytes:
    with file.open("rb") as stream:
        raw = stream.read(FILE_MAX_BYTES + 1)
    if len(raw) > FILE_MAX_BYTES:
        raise OSError(0, f"larger than {FILE_MAX_BYTES} bytes")
    return raw


def _say(error: OSError | UnicodeDecodeError | tomllib.TOMLDecodeError) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, OSError):
        return f"cannot be read: {error.strerror}"
    return f"is not valid TOML: {error}"


def _problem(merged: Merged, main: Path, key: Key, reason: str) -> ConfigProblem:
    text = reason.removeprefix("Value error, ")
    return ConfigProblem(str(merged.origin(key, main)), ".".join(map(str, key)), text)


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
                k: absolute(getattr(s, k)) for k in ("receipt_key", "credential", "ca", "client_cert", "client_key")
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
        api=Api(listen=model.api.listen, socket=absolute(model.api.socket) or state_dir / "api.sock"),
    )


def bundled_profiles() -> Path:
    """The profiles that came with the agent: beside the checkout's code, or where the package put them."""
    checkout = Path(__file__).parents[2] / "config" / "profiles"
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share" / "dock-agent" / "profiles"


def _check(config: Config) -> list[tuple[Key, str]]:
    """What single values cannot show."""
    found: list[tuple[Key, str]] = []
    names = [b.name for b in config.bays] + [i.name for i in config.imports]
    found += [
        (("bays",), f"two bays or imports are named {n!r}") for n in sorted({n for n in names if names.count(n) > 1})
    ]
    stores = [s.name for s in config.stores]
    found += [(("stores",), f"two stores are named {n!r}") for n in sorted({n for n in stores if stores.count(n) > 1})]
    if "hand" in names:
        found.append((("bays",), "the name 'hand' belongs to folders that a person hands over"))
    if config.stores and config.confirm.copies > len(config.stores):
        found.append((("confirm", "copies"), f"more copies than stores ({len(config.stores)})"))
    for number, store in enumerate(config.stores):
        found += [(("stores", number, key), reason) for key, reason in _check_store(store)]
    return found


def _check_store(store: StoreTable) -> list[tuple[str, str]]:
    found = []
    for key in ("receipt_key", "credential", "ca", "client_cert", "client_key"):
        file: Path | None = getattr(store, key)
        if file is not None and not file.is_file():
            found.append((key, f"there is no file {file}"))
    for key in ("credential", "client_key"):
        secret: Path | None = getattr(store, key)
        if secret is not None and secret.is_file() and secret.stat().st_mode & _OTHERS:
            found.append((key, f"other users can read {secret}; run: chmod 600 {secret}"))
    if store.kind is ReceiptKind.SIGNED and store.url.startswith("tus+") and store.receipt_key is None:
        found.append(("receipt_key", "signed receipts are required, so the store's public key is needed"))
    return found
