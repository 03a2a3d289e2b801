"""What may stand in the configuration. Unknown keys are mistakes; every key has its unit in its name."""

import re
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, Field, IPvAnyAddress, StrictBool, field_validator, model_validator

from agent.config.bandwidth import BandwidthTable, HoursList, RateText
from agent.config.table import Table
from agent.core.enrolment import Enrolment
from agent.core.object import ReceiptKind
from agent.devices import helper_wire
from agent.stores.s3_retention import LockMode

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


def _check_name(text: str) -> str:
    if not _NAME.fullmatch(text):
        raise ValueError("is no name: up to 64 letters, digits, '.', '_' and '-', the first a letter or digit")
    return text


Name = Annotated[str, AfterValidator(_check_name)]


def _check_enrolment(text: str) -> str:
    Enrolment.parse(text)
    return text


EnrolmentText = Annotated[str, AfterValidator(_check_enrolment)]


class StationTable(Table):
    """`[station]`."""

    id: Name
    state_dir: Path
    allow_unsafe_spool: StrictBool = False
    allow_plain_spool: StrictBool = False  # cameras are copied although the spool's disk is not encrypted
    trial: StrictBool = False
    time_zone: str = "UTC"  # of the hours in [bandwidth], and of cameras that do not say where their time is from
    reserve_bytes: int | None = Field(default=None, ge=0)
    keep_hours: float = Field(default=24.0, ge=0, le=24 * 366)  # spool copy after it was confirmed

    @field_validator("time_zone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        if value not in available_timezones():
            raise ValueError(f"no such time zone: {value!r} (for example Europe/London)")
        return value

    @property
    def zone(self) -> ZoneInfo:
        """The station's zone."""
        return ZoneInfo(self.time_zone)


class BayTable(Table):
    """`[[bays]]`: a USB port, a folder, or a simulated bay."""

    name: Name
    paths: tuple[str, ...] = ()
    folder: Path | None = None
    simulated: Path | None = None
    must_be_mount: bool = False  # a folder counts as occupied only while something is mounted on it

    @model_validator(mode="after")
    def _one_kind(self) -> "BayTable":
        if sum((bool(self.paths), self.folder is not None, self.simulated is not None)) != 1:
            raise ValueError("a bay has exactly one of: paths, folder, simulated")
        return self


class ImportTable(Table):
    """`[[imports]]`: a folder into which cameras push their files."""

    name: Name
    folder: Path
    settle_s: float = Field(default=10.0, gt=0, le=3600)


class StoreTable(Table):
    """`[[stores]]`."""

    name: Name
    url: str = Field(min_length=1)
    require: str = "signed"
    receipt_key: Path | None = None
    credential: Path | None = None
    ca: Path | None = None
    client_cert: Path | None = None
    client_key: Path | None = None
    connect_s: float = Field(default=10.0, gt=0, le=300)
    stall_s: float = Field(default=60.0, gt=0, le=3600)
    region: str = Field(default="us-east-1", pattern=r"^[A-Za-z0-9-]{1,64}$")  # of an S3 store's bucket
    proxy: str | None = None  # http://host:port
    proxy_credential: Path | None = None
    interface: str | None = Field(default=None, pattern=r"^[^\s/]{1,15}$")  # connections leave by it only
    source: IPvAnyAddress | None = None  # the address that connections come from
    object_lock: LockMode = LockMode.NONE  # this and the next three: of the objects in an S3 store's bucket
    object_lock_days: int = Field(default=31, ge=1, le=36500)
    legal_hold: StrictBool = False
    tags: StrictBool = False
    insecure: bool = False
    limit: RateText = "none"  # beside that of [bandwidth]
    hours: HoursList = ()

    @field_validator("require")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        ReceiptKind.of(value)
        return value

    @property
    def asks_who(self) -> bool:
        """Whether stores of this kind usually ask for a credential or a certificate that the station brings."""
        return not self.url.startswith(("file:", "axis:"))

    @property
    def kind(self) -> ReceiptKind:
        """The weakest receipt that counts."""
        return ReceiptKind.of(self.require)


class ConfirmTable(Table):
    """`[confirm]`."""

    copies: int = Field(default=1, ge=1, le=8)


class WipeTable(Table):
    """`[wipe]`."""

    enabled: StrictBool = False  # no word or number may turn it on


class CamerasTable(Table):
    """`[cameras]`: serials, or patterns with `*`, that the operator vouches for; see `core/enrolment.py`."""

    enrolled: tuple[EnrolmentText, ...] = ()


class ProfilesTable(Table):
    """`[profiles]`: where the descriptions of camera models lie; unset: those that came with the agent."""

    directory: Path | None = None


class UploadTable(Table):
    """`[upload]`."""

    workers: int = Field(default=2, ge=1, le=32)


class ApiTable(Table):
    """`[api]`: `listen` is a loopback address with a port (0: any free one), `socket` is for the command line."""

    listen: str = "127.0.0.1:8420"
    socket: Path | None = None


class UsbTable(Table):
    """`[usb]`: where the privileged helper is spoken to, and where readers come to.

    `guard`: the controllers of the bays admit nothing before the agent has looked at it.
    """

    helper: Path = Path(helper_wire.SOCKET)
    readers: Path = Path(helper_wire.READERS)
    guard: StrictBool = True


class Model(Table):
    """The whole configuration as written."""

    station: StationTable
    bays: tuple[BayTable, ...] = ()
    imports: tuple[ImportTable, ...] = ()
    stores: tuple[StoreTable, ...] = ()
    confirm: ConfirmTable = ConfirmTable()
    wipe: WipeTable = WipeTable()
    cameras: CamerasTable = CamerasTable()
    profiles: ProfilesTable = ProfilesTable()
    upload: UploadTable = UploadTable()
    bandwidth: BandwidthTable = BandwidthTable()
    usb: UsbTable = UsbTable()
    api: ApiTable = ApiTable()


class Api(Table):
    """`[api]` with its defaults filled in."""

    listen: str
    socket: Path


class Config(Table):
    """A configuration that was checked as a whole; all paths are absolute."""

    source: Path
    digest: str  # SHA-256 over the files and the profiles
    watched: tuple[Path, ...]  # the files and folders whose change means a reload
    station: StationTable
    bays: tuple[BayTable, ...]
    imports: tuple[ImportTable, ...]
    stores: tuple[StoreTable, ...]
    confirm: ConfirmTable
    wipe: WipeTable
    cameras: CamerasTable
    profiles_directory: Path
    upload: UploadTable
    bandwidth: BandwidthTable
    usb: UsbTable
    api: Api
