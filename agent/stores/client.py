"""From configuration to an opened store.

Nothing is contacted and nothing is written here: a store that is away must not keep the agent from starting. What
can be wrong in files and addresses is said at once. Blocks on small files; call it before the loop is busy.
"""

import ssl
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

from agent.core.errors import ConfigError
from agent.core.object import ReceiptKind
from agent.files.kernel import file_system_of
from agent.ports import Clock, EvidenceStore
from agent.stores.block_device import shares_disk
from agent.stores.credential import read_credential
from agent.stores.directory import DirectoryStore
from agent.stores.endpoint import Endpoint
from agent.stores.lines import TusLimits
from agent.stores.receipts import ReceiptKeys
from agent.stores.remote import LONG_AGO, Remote
from agent.stores.tls import client_context
from agent.stores.tus import TusStore


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """One `[[stores]]` entry; times in seconds, paths absolute.

    `require = "checksum"` is met by the read-back or signed receipt that every store here gives.
    """

    name: str
    url: str
    require: ReceiptKind
    receipt_key: Path | None = None
    credential: Path | None = None
    ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    connect_s: float = 10.0
    stall_s: float = 60.0
    insecure: bool = False  # allow tus+http beyond this machine: footage and credential travel in the clear


@dataclass(frozen=True, slots=True)
class OpenedStore:
    """A store, and whether it shares the fate of the spool: then it must not open the gate outside a trial.

    `same_machine` is true for a host that is this machine, and for a directory on the spool's own disk.
    """

    store: EvidenceStore
    same_machine: bool


def open_store(
    settings: StoreSettings,
    *,
    station: str,
    clock: Clock,
    spool_dir: Path,
    passed: datetime = LONG_AGO,
    allow_unsafe: bool = False,
) -> OpenedStore:
    """Make the adapter for a store; `passed` is a moment that has certainly passed. Raises ConfigError."""
    scheme = settings.url.partition(":")[0]
    match scheme:
        case "tus+http" | "tus+https":
            return _open_tus(settings, station, clock, passed)
        case "file":
            return _open_directory(settings, clock, spool_dir, allow_unsafe=allow_unsafe)
        case "s3+http" | "s3+https" | "axis":
            raise ConfigError(f"store {settings.name}: {scheme} is not available in this version", hint=_SCHEMES)
        case _:
            raise ConfigError(f"store {settings.name}: the url has no scheme that is known", hint=_SCHEMES)


_NETWORK_FILE_SYSTEMS = frozenset({"nfs", "cifs", "smb", "smb2"})
_SCHEMES = "Use tus+https://host/files/, or file:///path of a mounted directory."


def _open_tus(settings: StoreSettings, station: str, clock: Clock, passed: datetime) -> OpenedStore:
    try:
        endpoint = Endpoint.of(settings.url.removeprefix("tus+"))
    except ConfigError as error:
        raise ConfigError(f"store {settings.name}: {error}", hint=error.hint) from error
    if endpoint.scheme == "http" and not endpoint.is_loopback and not settings.insecure:
        hint = "Use tus+https. For a closed test network: insecure = true."
        raise ConfigError(f"store {settings.name}: footage and credential would travel in the clear", hint=hint)
    keys = ReceiptKeys.load(settings.receipt_key) if settings.receipt_key else None
    if settings.require is ReceiptKind.SIGNED and keys is None:
        hint = "Set receipt_key to the file with the store's public key."
        raise ConfigError(f"store {settings.name}: signed receipts cannot be checked without a key", hint=hint)
    remote = Remote(
        settings.name,
        endpoint,
        station,
        clock,
        _context(settings, endpoint),
        read_credential(settings.credential),
        passed,
    )
    stall_s = settings.stall_s
    limits = TusLimits(connect_s=settings.connect_s, stall_s=stall_s, answer_s=stall_s, control_s=stall_s)
    return OpenedStore(TusStore(remote, keys, limits, place=settings.url), same_machine=remote.same_machine)


def _context(settings: StoreSettings, endpoint: Endpoint) -> ssl.SSLContext:
    if endpoint.scheme == "http":
        return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # never used: there is no TLS
    return client_context(settings.ca, settings.client_cert, settings.client_key)


def _open_directory(settings: StoreSettings, clock: Clock, spool_dir: Path, *, allow_unsafe: bool) -> OpenedStore:
    parts = urlsplit(settings.url)
    root = Path(unquote(parts.path))
    if parts.netloc not in ("", "localhost") or not root.is_absolute() or parts.query or parts.fragment:
        raise ConfigError(f"store {settings.name}: write the url as file:///path", hint=_SCHEMES)
    if settings.require is ReceiptKind.SIGNED:
        hint = 'Set require = "readback".'
        raise ConfigError(f"store {settings.name}: a directory cannot sign receipts", hint=hint)
    store = DirectoryStore(
        settings.name, root, clock, stall_s=settings.stall_s, allow_unsafe=allow_unsafe, place=settings.url
    )
    return OpenedStore(store, same_machine=not _is_elsewhere(root, spool_dir))


def _is_elsewhere(root: Path, spool_dir: Path) -> bool:
    """Whether a directory lies on another machine. An unmounted mount point does not: nothing speaks for it."""
    try:
        return file_system_of(root) in _NETWORK_FILE_SYSTEMS and not shares_disk(root, spool_dir)
    except OSError:
        return False
