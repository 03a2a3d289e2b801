"""From configuration to an opened store.

Nothing is contacted and nothing is written here: a store that is away must not keep the agent from starting. What
can be wrong in files and addresses is said at once. Blocks on small files; call it before the loop is busy.
"""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from agent.core.errors import ConfigError
from agent.core.object import ReceiptKind
from agent.ports import Clock, EvidenceStore
from agent.stores.credential import Credential, read_credential
from agent.stores.directory import DirectoryStore
from agent.stores.endpoint import Endpoint
from agent.stores.mount import Mount
from agent.stores.probe_record import record_path
from agent.stores.receipts import ReceiptKeys
from agent.stores.remote import LONG_AGO, Remote
from agent.stores.settings import StoreSettings, limits_of, refuse_clear_text, remote_of
from agent.stores.standing import Standing
from agent.stores.tus import TusStore

if TYPE_CHECKING:
    from agent.stores.s3_address import S3Address
    from agent.stores.s3_signature import S3Signature


@dataclass(frozen=True, slots=True)
class OpenedStore:
    """A store, and whether it shares the fate of the spool: then it must not open the gate outside a trial.

    `same_machine` is true for a host that is this machine, and for a directory on the spool's own disk.
    """

    store: EvidenceStore
    same_machine: bool
    standing: Standing


def open_store(  # noqa: PLR0913 - what a store may need of its station
    settings: StoreSettings,
    *,
    station: str,
    clock: Clock,
    spool_dir: Path,
    passed: datetime = LONG_AGO,
    allow_unsafe: bool = False,
    marks: Path | None = None,
) -> OpenedStore:
    """Make the adapter for a store; `passed` is a moment that has certainly passed. Raises ConfigError.

    The records of commissioning lie beside `spool_dir`, in the state directory. `marks` is the folder for what may
    never be forgotten about a store; None: it holds while the process runs.
    """
    standing = Standing(
        settings.name,
        settings.url,
        settings.require,
        clock,
        record_path(spool_dir.parent, settings.name),
        settings.client_cert,
        ca=settings.ca,
        passed=passed,
    )
    scheme = settings.url.partition(":")[0]
    if settings.retention.asks and not scheme.startswith("s3+"):
        hint = "Take object_lock, legal_hold and tags out of its table, or use an S3 store."
        raise ConfigError(f"store {settings.name}: only S3 stores lock and tag objects", hint=hint)
    match scheme:
        case "tus+http" | "tus+https":
            return _open_tus(settings, station, passed, standing)
        case "file":
            return _open_directory(settings, spool_dir, standing, allow_unsafe=allow_unsafe)
        case "s3+http" | "s3+https":
            return _open_s3(settings, station, passed, standing)
        case "axis":
            return _open_axis(settings, station, passed, replace(standing, record=None), marks)
        case _:
            raise ConfigError(f"store {settings.name}: the url has no scheme that is known", hint=_SCHEMES)


_SCHEMES = (
    "Use tus+https://host/files/, s3+https://host/bucket, axis:connection-file.json, or file:///path of a mounted"
    " directory."
)


def _open_tus(settings: StoreSettings, station: str, passed: datetime, standing: Standing) -> OpenedStore:
    remote, keys = tus_parts(settings, station, standing, passed)
    store = TusStore(remote, keys, limits_of(settings), place=settings.url, throttle=settings.throttle)
    return OpenedStore(store, remote.same_machine, standing)


def tus_parts(
    settings: StoreSettings, station: str, standing: Standing, passed: datetime = LONG_AGO
) -> tuple[Remote, ReceiptKeys | None]:
    """What is needed to speak to a tus store. Raises ConfigError."""
    try:
        endpoint = Endpoint.of(settings.url.removeprefix("tus+"))
    except ConfigError as error:
        raise ConfigError(f"store {settings.name}: {error}", hint=error.hint) from error
    refuse_clear_text(settings, endpoint)
    keys = ReceiptKeys.load(settings.receipt_key) if settings.receipt_key else None
    if settings.require is ReceiptKind.SIGNED and keys is None:
        hint = "Set receipt_key to the file with the store's public key."
        raise ConfigError(f"store {settings.name}: signed receipts cannot be checked without a key", hint=hint)
    credential = read_credential(settings.credential)
    return remote_of(settings, endpoint, station, standing, passed, credential), keys


def _open_s3(settings: StoreSettings, station: str, passed: datetime, standing: Standing) -> OpenedStore:
    # A station without such a store does not pay for loading the library that signs.
    from agent.stores.s3 import S3Store  # noqa: PLC0415

    remote, address, signature = s3_parts(settings, station, standing, passed)
    store = S3Store(
        remote,
        address,
        signature,
        limits_of(settings),
        place=settings.url,
        throttle=settings.throttle,
        standing=standing,
        retention=settings.retention,
    )
    return OpenedStore(store, remote.same_machine, standing)


def s3_parts(
    settings: StoreSettings, station: str, standing: Standing, passed: datetime = LONG_AGO
) -> "tuple[Remote, S3Address, S3Signature]":
    """What is needed to speak to an S3 store. Raises ConfigError."""
    from agent.stores.s3_address import FORM, S3Address  # noqa: PLC0415 - see above
    from agent.stores.s3_credential import S3Credential  # noqa: PLC0415
    from agent.stores.s3_signature import S3Signature  # noqa: PLC0415

    try:
        address = S3Address.of(settings.url.removeprefix("s3+"))
    except ConfigError as error:
        raise ConfigError(f"store {settings.name}: {error}", hint=FORM) from error
    endpoint = address.endpoint
    refuse_clear_text(settings, endpoint)
    if settings.require is ReceiptKind.SIGNED:
        hint = 'Set require = "readback".'
        raise ConfigError(f"store {settings.name}: an S3 store cannot sign receipts", hint=hint)
    if settings.credential is None:
        hint = "Set credential to a file with two lines: access key id, secret access key; a third: session token."
        raise ConfigError(f"store {settings.name}: an S3 store needs an access key", hint=hint)
    remote = remote_of(settings, endpoint, station, standing, passed, Credential())
    return remote, address, S3Signature(S3Credential.read(settings.credential), settings.region)


def _open_axis(
    settings: StoreSettings, station: str, passed: datetime, standing: Standing, folder: Path | None
) -> OpenedStore:
    # As above: the check of the connection file costs more than the rest of the stores together.
    from agent.stores.axis import AxisStore  # noqa: PLC0415
    from agent.stores.axis_connection import AxisConnection  # noqa: PLC0415
    from agent.stores.axis_door import Door, endpoint_of, log_in_url  # noqa: PLC0415
    from agent.stores.axis_marks import AxisMarks, refuse_step_back  # noqa: PLC0415
    from agent.stores.axis_register import AxisRegister  # noqa: PLC0415
    from agent.stores.axis_session import AxisSession  # noqa: PLC0415

    file = Path(settings.url.removeprefix("axis:"))
    try:
        _refuse_unused(settings)
        connection, marks = AxisConnection.read(file), AxisMarks(settings.name, folder)
        refuse_step_back(connection, marks)
        pins, doors = connection.pinned(), []
        for url in connection.addresses:
            endpoint = endpoint_of(url, settings, pinned=bool(pins))
            remote = remote_of(settings, endpoint, station, standing, passed, Credential(), pins)
            doors.append(Door.of(log_in_url(endpoint, url), remote, limits_of(settings), settings.throttle))
        session = AxisSession(connection, file, tuple(doors))
        store = AxisStore(settings.name, settings.url, session, AxisRegister(settings.name, station, marks), marks)
    except ConfigError as error:
        raise ConfigError(f"store {settings.name}: {error}", hint=error.hint) from error
    return OpenedStore(store, any(door.remote.same_machine for door in doors), standing)


def _refuse_unused(settings: StoreSettings) -> None:
    unused = [key for key in ("receipt_key", "credential", "ca") if getattr(settings, key) is not None]
    if unused:
        hint = "Remove it: log-in and certificates are those of the connection file."
        raise ConfigError(f"a content destination has no use for {unused[0]}", hint=hint)
    if settings.require is ReceiptKind.SIGNED:
        raise ConfigError("a content destination cannot sign receipts", hint='Set require = "readback".')


def _open_directory(settings: StoreSettings, spool_dir: Path, standing: Standing, *, allow_unsafe: bool) -> OpenedStore:
    root = directory_root(settings)
    try:
        mount = Mount.at(root)
    except OSError:
        mount = None
    store = DirectoryStore(
        settings.name,
        root,
        standing.clock,
        stall_s=settings.stall_s,
        allow_unsafe=allow_unsafe,
        place=settings.url,
        device=None if mount is None else mount.device,
    )
    return OpenedStore(store, mount is None or not mount.is_elsewhere(root, spool_dir), standing)


def directory_of(url: str) -> Path:
    """Where a file:// URL points."""
    return Path(unquote(urlsplit(url).path))


def directory_root(settings: StoreSettings) -> Path:
    """The directory of a directory store. Raises ConfigError."""
    parts, root = urlsplit(settings.url), directory_of(settings.url)
    if parts.netloc not in ("", "localhost") or not root.is_absolute() or parts.query or parts.fragment:
        raise ConfigError(f"store {settings.name}: write the url as file:///path", hint=_SCHEMES)
    if settings.require is ReceiptKind.SIGNED:
        hint = 'Set require = "readback".'
        raise ConfigError(f"store {settings.name}: a directory cannot sign receipts", hint=hint)
    return root
