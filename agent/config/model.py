"""What may stand in the configuration. Unknown keys are mistakes; every key has its unit in its name."""

from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo, available_timezones

from pydantic import BaseModel, ConfigDict, Field, StrictBool, field_validator, model_validator

from agent.core.object import ReceiptKind

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")]


class Table(BaseModel):
    """A table of the file: strict about keys, never changed after loading."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class StationTable(Table):
    """`[station]`."""

    id: Name
    state_dir: Path
    allow_unsafe_spool: StrictBool = False
    trial: StrictBool = False
    time_zone: str = "UTC"  # of cameras that write local time without saying where
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
    insecure: bool = False

    @field_validator("require")
    @classmethod
    def _known_kind(cls, value: str) -> str:
        ReceiptKind.of(value)
        return value

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
    """`[cameras]`: serials, or patterns with `*`, that the operator vouches for."""

    enrolled: tuple[str, ...] = ()


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
    api: Api
